#!/usr/bin/env python3
"""Makes a folder in which the worker and its GStreamer run on any x86-64 Linux with a kernel of this decade.

    bundle/make.py BINARY FOLDER

The folder has the libraries of this machine (Debian 13) down to the loader and the C library. NVIDIA's driver libraries are
the ones of the machine that it runs on, and are looked for where distributions put them.

libavcodec and libavfilter are linked with everything that Debian can encode and decode, 230 MB of libraries. What the
worker never uses of it is replaced by stand-ins: libraries of the same name whose functions return 0. The loader is
content, and nobody calls them.
"""

import hashlib
import pathlib
import re
import shutil
import subprocess
import sys

MAX_BYTES = 60_000_000
PLUGIN_DIRECTORY = pathlib.Path("/usr/lib/x86_64-linux-gnu/gstreamer-1.0")
# The plugins that the pipelines are made of, in the order of `doctor`.
PLUGINS = """coreelements typefindfunctions app pbtypes videoconvertscale videotestsrc audiotestsrc audioconvert audioresample playback
    isomp4 matroska flv avi ogg deinterlace videofilter audioparsers videoparsersbad mpegtsdemux mpegtsmux gdp
    x264 x265 openh264 libav nvcodec""".split()
# Libraries that are called, beside those of GStreamer and GLib and what these need.
CALLED = re.compile(
    r"lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+|z|lzma|x264|x265|numa|openh264|dav1d|avcodec|avutil|swresample|"
    r"gst[a-z0-9]*-1\.0|gstreamer-1\.0|glib-2\.0|gobject-2\.0|gmodule-2\.0|gio-2\.0|ffi|pcre2-8|mount|blkid|selinux|"
    r"orc-0\.4|ssl|crypto|zstd|sasl2|ogg|unwind|dw|elf|bz2)\.so"
)
LOADER = "ld-linux-x86-64.so.2"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", str(path)))


def installed():
    """Where the loader finds each library."""
    found = {}
    for name, path in re.findall(r"^\s+(\S+) \(libc6,x86-64[^)]*\) => (\S+)$", output("ldconfig", "-p"), re.M):
        found.setdefault(name, pathlib.Path(path))
    return found


def closure(roots, libraries):
    """The libraries that are called, and those that stand-ins are made for."""
    called, unused, todo = {}, {}, list(roots)
    while todo:
        for name in needed(todo.pop()):
            if name == LOADER or name in called or name in unused:
                continue
            path = libraries[name]
            if CALLED.match(name):
                called[name] = path
                todo.append(path)
            else:
                unused[name] = path
    return called, unused


def symbols(path, undefined):
    """Dynamic symbols with version and kind."""
    for line in output("objdump", "-T", str(path)).splitlines():
        match = re.match(r"^[0-9a-f]{16} (.{7}) (\S+)\s+([0-9a-f]{16})\s+(?:\(?([A-Za-z0-9_.]+)\)?\s+)?(\S+)$", line)
        if match and (match[2] == "*UND*") == undefined:
            version = match[4] if match[4] not in (None, "Base") else ""
            yield match[5], version, "O" in match[1], int(match[3], 16)


def stand_in(name, original, wanted, target):
    """A library that has those symbols of `original` that somebody wants."""
    versions, code = {}, []
    for symbol, version, is_object, size in symbols(original, undefined=False):
        if (symbol, version) not in wanted or symbol in versions.get(version, ()):
            continue
        versions.setdefault(version, []).append(symbol)
        code.append(f"char {symbol}[{max(size, 8)}];" if is_object else f"void *{symbol}(void) {{ return 0; }}")
    script = ""
    for version, names in versions.items():
        script += f"{version} {{ global: {'; '.join(names)}; }};\n" if version else ""
    source, map_file = target.with_suffix(".c"), target.with_suffix(".map")
    source.write_text("\n".join(code) + "\n")
    command = ["gcc", "-shared", "-nostdlib", "-fno-builtin", "-w", "-O1", f"-Wl,-soname,{name}", "-o", target, source]
    if script:
        map_file.write_text(script)
        command.append(f"-Wl,--version-script,{map_file}")
    subprocess.run(command, check=True)
    source.unlink()
    map_file.unlink(missing_ok=True)


def copy(path, target):
    shutil.copyfile(path.resolve(), target)
    target.chmod(0o755)
    subprocess.run(["strip", "--strip-unneeded", target], check=True)


def main(binary, folder):
    here = pathlib.Path(__file__).parent
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lib/gstreamer-1.0").mkdir(parents=True)
    plugins = [PLUGIN_DIRECTORY / f"libgst{name}.so" for name in PLUGINS]
    libraries = installed()
    called, unused = closure([binary, *plugins], libraries)
    real = [binary, *plugins, *called.values()]
    wanted = {(symbol, version) for path in real for symbol, version, *_ in symbols(path, undefined=True)}
    for name, path in called.items():
        copy(path, folder / "lib" / name)
    for name, path in unused.items():
        stand_in(name, path, wanted, folder / "lib" / name)
    for path in plugins:
        copy(path, folder / "lib/gstreamer-1.0" / path.name)
    copy(libraries.get(LOADER, pathlib.Path("/lib64") / LOADER), folder / "lib" / LOADER)
    copy(binary, folder / "lib/gstreamer-worker")
    report(folder, len(unused))
    digest = pack(folder)
    start = (here / "start").read_text().replace("@DIGEST@", digest)
    (folder / "gstreamer-worker").write_text(start)
    (folder / "gstreamer-worker").chmod(0o755)
    total = size(folder)
    print(f"{total:>12,}  {folder} as it is handed on")
    if total > MAX_BYTES:
        sys.exit(f"the folder has more than {MAX_BYTES:,} bytes")


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def report(folder, stand_ins):
    """The largest files, and how many there are."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    for path, bytes in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"{bytes:>12,}  {path.relative_to(folder)}")
    print(f"{size(folder):>12,}  unpacked: {len(sizes)} files, {stand_ins} of them stand-ins")


def pack(folder):
    """Packs everything, the same bytes for the same files; gives the beginning of its digest."""
    archive = folder / "libraries.tar.gz"
    tar = ["tar", "--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-C", folder, "-cf", "-", "lib"]
    with archive.open("wb") as file, subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
        subprocess.run(["gzip", "-9n"], stdin=packing.stdout, stdout=file, check=True)
    if packing.returncode:
        sys.exit("tar failed")
    shutil.rmtree(folder / "lib")
    return hashlib.sha256(archive.read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
