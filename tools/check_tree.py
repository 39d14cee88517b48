"""What the checks of this folder share: the files of the tree and what they include."""

import hashlib
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(*suffixes):
    """The files with these suffixes that are in git, or new and not ignored; as paths relative to the root."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        listed = [os.path.relpath(os.path.join(folder, name), ROOT)
                  for folder, _, names in os.walk(ROOT) for name in names]
        listed = [name for name in listed if not name.startswith(("build/", ".git/"))]
    return sorted(name for name in set(listed) if name.endswith(suffixes) and (ROOT / name).is_file())


def includes(name):
    """(line, spelling) of each include of a file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(2)) + 1, m.group(2)) for m in INCLUDE.finditer(text)]


def resolve(spelling, tops=("runtime", "scheduler", "rl", "tune", "cli")):
    """The file of the tree that an include means, or None for one from outside (or a generated one)."""
    if (ROOT / spelling).is_file():
        return spelling
    if spelling.startswith("mobula/"):
        for top in tops:
            name = f"{top}/include/{spelling}"
            if (ROOT / name).is_file():
                return name
    return None


def is_public(name):
    return "/include/mobula/" in name


def fingerprint(name, known, trail=()):
    """A hash of a file and of all of the tree that it includes."""
    if name in known:
        return known[name]
    digest = hashlib.sha256((ROOT / name).read_bytes())
    for _, spelling in includes(name):
        target = resolve(spelling)
        if target and target not in trail and target != name:
            digest.update(fingerprint(target, known, trail + (name,)).encode())
    known[name] = digest.hexdigest()
    return known[name]
