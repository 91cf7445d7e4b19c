/** What a program that logged in calls itself, in two words. It may say what it likes. */

const BROWSERS = [
  [/\bEdg(?:A|iOS)?\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/\b(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+)[\d.]* (?:Mobile\/\w+ )?Safari\//, "Safari"],
];
const SYSTEMS = [
  [/\bAndroid\b/, "Android"],
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];
const LONGEST = 60;

/**
 * @param {string|null} agent the header User-Agent
 * @returns {string} such as `Firefox 140 on Linux`; for what is no browser, its beginning
 */
export function program(agent) {
  if (!agent) return "An unnamed program";
  for (const [pattern, name] of BROWSERS) {
    const found = pattern.exec(agent);
    if (!found) continue;
    const system = SYSTEMS.find(([each]) => each.test(agent))?.[1];
    return `${name} ${found[1]}${system ? ` on ${system}` : ""}`;
  }
  return agent.length > LONGEST ? `${agent.slice(0, LONGEST)}…` : agent;
}
