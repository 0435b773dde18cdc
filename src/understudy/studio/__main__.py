"""The studio's server as a program: `python -m understudy.studio OPTIONS`, options as JSON."""

import sys

from understudy.errors import UnderstudyError
from understudy.steps.studio import StudioOptions
from understudy.studio.app import serve

if __name__ == "__main__":
    try:
        serve(StudioOptions.model_validate_json(sys.argv[1]))
    except UnderstudyError as error:
        sys.stderr.write(f"understudy: {error}\n")
        sys.exit(error.exit_code)
