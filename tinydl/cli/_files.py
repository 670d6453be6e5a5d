"""Files that a command writes: all of them or none, and never in the place of other content."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from tinydl.cli._errors import UsageError
from tinydl.errors import TinydlError


class Outputs:
    """Files written under temporary names and renamed together, so that an error leaves the folder as it was.

    A file that exists is replaced only with ``force``; where it holds the very same bytes already, there is nothing to
    replace, so a command that is repeated succeeds. ::

        with Outputs(force=False) as outputs:
            write(score, outputs.new("a.mid"))
            outputs.commit()
    """

    def __init__(self, *, force: bool) -> None:
        self.force = force
        self._targets: dict[Path, Path] = {}  # target -> where it is written first
        self._made: list[Path] = []  # folders
        self._dropped: list[Path] = []

    def new(self, target: str | Path, *, long: bool = False) -> Path:
        """Where to write what shall become ``target``, in the same folder and with the same suffix.

        With ``long``, where making it takes minutes, one that exists is refused at once, without a look at whether it
        would become the same again.

        Raises:
            UsageError: ``target`` is a folder, or comes twice, or stands where this user may not write.
        """
        target = Path(target)
        if target.is_dir():
            raise UsageError(f"{target} is a folder: give the name of a file to write")
        if long and not self.force and target.exists():
            raise self._exists(target)
        if target in self._targets:
            raise UsageError(f"{target} would be written twice: give different names")
        there = next(folder for folder in (target.parent, *target.parent.parents) if folder.exists())
        if not os.access(there, os.W_OK):
            raise UsageError(f"cannot write {target}: the folder {there} is not to be written to by this user")
        missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        self._made += missing
        # A short name of our own: the target's may be as long as the file system allows.
        temporary = target.parent / f".tinydl-{os.getpid()}-{len(self._targets)}{target.suffix}"
        self._targets[target] = temporary
        return temporary

    def drop(self, target: str | Path) -> None:
        """Let a file of an earlier call go, which would be taken for one of this call's."""
        self._dropped.append(Path(target))

    def commit(self) -> None:
        """Give every file its name, and remove those to drop; :class:`UsageError`, and nothing changed, when one is
        there with other content, or is to be dropped, without ``force``."""
        for target in self._dropped if not self.force else ():
            if target.exists():
                raise UsageError(
                    f"{target} is there from an earlier call, and would be taken for a piece of this one: choose "
                    f"another place, or add --force"
                )
        for target, temporary in self._targets.items():
            if target.exists() and not self.force and not filecmp.cmp(target, temporary, shallow=False):
                raise self._exists(target)
        for target, temporary in self._targets.items():
            os.replace(temporary, target)
        for target in self._dropped:
            target.unlink(missing_ok=True)
        self._made.clear()

    def _exists(self, target: Path) -> UsageError:
        return UsageError(f"{target} exists and is not overwritten: choose another name, or add --force")

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        for temporary in self._targets.values():
            temporary.unlink(missing_ok=True)
        for folder in self._made:  # innermost first; only those that this command made and left empty
            try:
                folder.rmdir()
            except OSError:
                break
        if error is not None:
            self._name_targets(error)

    def _name_targets(self, error: BaseException) -> None:
        """Let an error speak of the files that were asked for, not of the temporary ones."""
        for target, temporary in self._targets.items():
            if isinstance(error, OSError) and error.filename == str(temporary):
                error.filename = str(target)
            elif isinstance(error, TinydlError):
                error.args = tuple(
                    arg.replace(str(temporary), str(target)) if isinstance(arg, str) else arg for arg in error.args
                )
