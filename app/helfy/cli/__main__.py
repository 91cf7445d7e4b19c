"""The command's groups. Exit status: see ``EPILOG``."""

import logging
import warnings
from pathlib import Path
from typing import Any

import click

from helfy import __release__, __version__
from helfy.cli.changes import changes
from helfy.cli.check import check
from helfy.cli.context import Context, Refusal
from helfy.cli.gaps import gaps
from helfy.cli.session import session
from helfy.cli.user import user

CONFIG = Path("/etc/helfy/api.toml")
CREDENTIALS = Path("/etc/helfy/credentials")
EPILOG = """Exit status: 0 done; 1 refused, and why on stderr; 2 wrong usage; 3 the database or
Kafka does not answer; 4 'check' found a part that is not well; 78 the settings or credentials
cannot be read; 130 interrupted."""


class Program(click.Group):
    """Ends with the exit status that the reason calls for."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Run (click's entry)."""
        try:
            return super().main(*arguments, **more)
        except Refusal as refusal:
            refusal.show()
            raise SystemExit(refusal.exit_code) from None


@click.group(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{__version__} ({__release__})", prog_name="helfy")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=CONFIG,
    show_default=True,
    help="The API's settings.",
)
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    default=CREDENTIALS,
    show_default=True,
    help="Folder of the API's credentials.",
)
@click.pass_context
def program(context: click.Context, config: Path, credentials: Path) -> None:
    """Helfy's accounts, sessions and changes, on this machine."""
    # What Kafka's state means is told here, and not by its client at every attempt.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    context.obj = context.with_resource(Context(config, credentials))


program.add_command(user)
program.add_command(session)
program.add_command(changes)
program.add_command(check)
program.add_command(gaps)


def main() -> None:
    """Run the command and exit."""
    # kafka-python reads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore")
    program(prog_name="helfy")


if __name__ == "__main__":
    main()
