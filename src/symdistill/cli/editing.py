"""A knowledge item in the user's own editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from symdistill.errors import ConfigError, DataError, StoreError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.markdown import file_name, parse, render
from symdistill.knowledge.utility import lifts


def edited_in_editor(base: KnowledgeBase, item: KnowledgeItem, *, by: str, note: str = "") -> KnowledgeItem:
    """Open the item's Markdown form in $VISUAL or $EDITOR and take in what comes back.

    What was typed is never lost: where it cannot be taken in, the error names the file that holds it.

    Raises:
        ConfigError: there is no editor, or it failed.
        DataError: what was written makes no sense, or the item was changed elsewhere meanwhile.
        StoreError: the base cannot be written.
    """
    command = _editor()
    folder = Path(tempfile.mkdtemp(prefix="symdistill-"))
    path = folder / file_name(item)
    before = render(item, lifts(base.uses(item.id), base.current_versions()).get(item.id))
    path.write_bytes(before.encode())
    try:
        code = subprocess.call([*command, str(path)])
    except OSError as error:
        shutil.rmtree(folder)
        raise ConfigError(
            f"Cannot start the editor `{command[0]}` ({error.strerror}).",
            "Set EDITOR, or give --text, --title or --status.",
        ) from None
    try:
        written = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The editor `{command[0]}` left no file at {path} ({error.strerror}): nothing was changed.",
            "Set EDITOR to a program that edits the file it is given, or give --text, --title or --status.",
        ) from None
    changed = written != before.encode()
    kept = f"What you wrote is in {path}; corrected, `symdistill knowledge import` takes it in."
    if code != 0:
        raise ConfigError(
            f"The editor `{command[0]}` ended with code {code}: nothing was changed.", kept if changed else ""
        )
    if changed:
        try:
            draft = parse(written.decode("utf-8-sig"), str(path))
            if (draft.id, draft.version, draft.kind) != (item.id, item.version, item.kind):
                raise DataError(f"{path}: id, version and kind stay as they are.")
            changes = draft.changes(item)
            if not changes.get("text", "some").strip():
                raise DataError(f"{path}: the text was emptied; `status: retired` takes an item out of use.")
            item = base.edit(item.id, by=by, note=note, expected=item.version, **changes)
        except UnicodeDecodeError:
            raise DataError(f"{path}: not UTF-8.", kept) from None
        except (DataError, StoreError) as error:
            raise type(error)(error.message, f"{error.fix} {kept}".strip()) from None
    shutil.rmtree(folder)
    return item


def _editor() -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(os.environ.get(name, ""))
        except ValueError as error:
            raise ConfigError(
                f"{name} is {os.environ[name]!r}, which is no command line ({error}).",
                f"Set {name} to an editor, or give --text, --title or --status.",
            ) from None
        if words:
            return words
    if sys.stdin.isatty() and shutil.which("vi"):
        return ["vi"]
    raise ConfigError("No editor is set.", "Set EDITOR, or give --text, --title or --status.")
