"""One translation job in a process of its own: the request on stdin, events on stdout, one JSON object a line.

The process ends when stdin does, so that none outlives the server that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from saropt.errors import InputError, SaroptError

if TYPE_CHECKING:
    from saropt.inference import SceneResult

_EVERY_SECONDS = 0.2
_NICENESS = 10  # tiles go first


def main() -> None:
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.nice(_NICENESS)
    os.dup2(2, 1)  # whatever a library prints must not look like an event
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        made = _translate(request, events)
        _send(events, "done", seam=made.seam, warnings=[_named(warning, request) for warning in made.warnings])
    except InputError as error:
        at = "" if error.source == request["scene"] else f"{error.source}: "
        _send(events, "failed", reason=_named(f"{at}{error.reason}", request))
    except SaroptError as error:
        _send(events, "failed", reason=_named(str(error), request))
    except MemoryError:
        _send(events, "failed", reason="there is not enough memory")
    except Exception as error:
        traceback.print_exc()
        _send(events, "failed", reason=f"internal error: {type(error).__name__}")
    events.flush()
    os._exit(0)


def _translate(request: dict[str, Any], events: TextIO) -> SceneResult:
    from saropt.batch.jobs import translate_when_free
    from saropt.inference import LoadOptions, TranslateOptions, Translator

    load = LoadOptions(
        direction=request["direction"], realism=request["realism"], reliability=request.get("reliability", False)
    )
    translator = Translator.load(request["translator"], load, threads=request["threads"])
    last = 0.0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > _EVERY_SECONDS:
            last = time.monotonic()
            _send(events, "progress", done=done, total=total)

    bands = None if request["bands"] is None else tuple(request["bands"])
    options = TranslateOptions(
        bands=bands, units=request["units"], tile=request["tile"], resume=True, **request["companions"]
    )
    # a worker of a server that was killed lets go of the output as soon as it notices
    return translate_when_free(translator, request["scene"], request["out"], options, progress)


def _named(text: str, request: dict[str, Any]) -> str:
    """A message with the files of a request by their names, of one name with their folder's, without other folders."""
    paths = [Path(path) for path in {request["scene"], request["translator"], *request["companions"].values()}]
    names = Counter(path.name for path in paths)
    for path in paths:
        text = text.replace(str(path), "/".join(path.parts[-1 if names[path.name] == 1 else -2 :]))
    for path in (*paths, Path(request["out"])):
        text = text.replace(f"{path.parent}/", "")
    return text


def _send(events: TextIO, event: str, **content: object) -> None:
    events.write(json.dumps({"event": event, **content}) + "\n")
    events.flush()


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    main()
