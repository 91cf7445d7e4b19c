/** Calls to the API. Every failure, whoever answered it, becomes an {@link ApiError}. */

export const TIMEOUT_MS = 10_000;

export class ApiError extends Error {
  /**
   * @param {"offline"|"network"|"timeout"|"left"|"http"|"answer"} kind `left`: nobody waits for it
   *   any more; `answer`: a success that is not JSON
   * @param {{status?: number, said?: string, fields?: Object<string, string>, requestId?: string,
   *   retryAfter?: number}} [details] said: the API's own message; retryAfter in seconds
   */
  constructor(kind, { status = 0, said = "", fields = {}, requestId = "", retryAfter = null } = {}) {
    super(status ? `${kind} ${status}` : kind);
    this.name = "ApiError";
    Object.assign(this, { kind, status, said, fields, requestId, retryAfter });
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, token?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<Object<string, unknown>>} the JSON object answered, `{}` for an empty answer
 * @throws {ApiError}
 */
export async function request(method, path, { body, token, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token) headers["x-auth-token"] = token;

  if (signal?.aborted) throw new ApiError("left");
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  const forward = () => stop.abort();
  signal?.addEventListener("abort", forward);
  try {
    const response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: stop.signal,
    });
    // The time limit covers the body too: a stalled one would otherwise keep the page busy.
    return read(response, await response.text());
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (signal?.aborted) throw new ApiError("left");
    if (stop.signal.aborted) throw new ApiError("timeout");
    throw new ApiError(navigator.onLine ? "network" : "offline");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

function read(response, text) {
  const data = parse(text);
  if (response.ok) {
    if (data === null && text.trim() !== "") {
      throw new ApiError("answer", { status: response.status });
    }
    return data ?? {};
  }
  throw new ApiError("http", {
    status: response.status,
    said: String(data?.message ?? ""),
    fields: fieldTexts(data?.fields),
    requestId: String(data?.requestId ?? response.headers.get("x-request-id") ?? ""),
    retryAfter: seconds(response.headers.get("retry-after")),
  });
}

/** An object, or null for everything else, such as the HTML of a proxy's own error page. */
function parse(text) {
  try {
    const data = JSON.parse(text);
    return typeof data === "object" && !Array.isArray(data) ? data : null;
  } catch {
    return null;
  }
}

function fieldTexts(fields) {
  if (typeof fields !== "object" || fields === null) return {};
  return Object.fromEntries(
    Object.entries(fields).map(([name, text]) => [name, [text].flat().join(" ")]),
  );
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function seconds(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(0, Math.ceil(wait)) : null;
}
