#!/usr/bin/env python3
"""read_events.py FOLDER: the scalars of TensorBoard's files in a run directory, as JSON on standard output:

    {"reader": "tensorboard 2.12.0", "scalars": {"train/entropy": [[step, value], ...], ...}}

With TensorBoard's own loader where Python has it (the files as they lie, and a second time through EventAccumulator,
which is what draws its pages); else with the decoder below, which shares nothing with what wrote them. Exit status 1
if a file is damaged or the two ways to read it disagree.
"""

import glob
import json
import os
import struct
import sys


def crc32c_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = crc32c_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at : at + 8], at + 8
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind == 5:
            value, at = data[at : at + 4], at + 4
        else:
            sys.exit(f"a field of type {kind}")
        yield key >> 3, value


def records(path):
    data = open(path, "rb").read()
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        (crc,) = struct.unpack_from("<I", data, at + 8)
        payload = data[at + 12 : at + 12 + size]
        (payload_crc,) = struct.unpack_from("<I", data, at + 12 + size)
        if crc != masked_crc(data[at : at + 8]) or payload_crc != masked_crc(payload):
            sys.exit(f"{path}: a record at byte {at} is damaged")
        yield payload
        at += 16 + size


def own(path):
    for number, payload in enumerate(records(path)):
        event = dict(fields(payload))
        if number == 0 and event.get(3) != b"brain.Event:2":
            sys.exit(f"{path} does not begin with its version")
        if event[1] == bytes(8):
            sys.exit(f"{path}: an event without a time")
        for number_of_field, value in fields(event.get(5, b"")):
            parts = dict(fields(value))
            yield event.get(2, 0), parts[1].decode(), struct.unpack("<f", parts[2])[0]


def tensorboards(path):
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    for number, raw in enumerate(RawEventFileLoader(path).Load()):
        event = Event.FromString(raw)
        if number == 0 and event.file_version != "brain.Event:2":
            sys.exit(f"{path} does not begin with its version")
        for value in event.summary.value:
            yield event.step, value.tag, value.simple_value


def main():
    folder = sys.argv[1]
    try:
        import tensorboard
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        tensorboard = None
    read = tensorboards if tensorboard else own
    scalars = {}
    for path in sorted(glob.glob(os.path.join(folder, "events.out.tfevents.*"))):
        for step, tag, value in read(path):
            scalars.setdefault(tag, []).append([step, value])
        if tensorboard and list(own(path)) != list(tensorboards(path)):
            sys.exit(f"TensorBoard reads {path} otherwise than it was written")
    if tensorboard:
        pages = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
        pages.Reload()
        drawn = {tag: [[e.step, e.value] for e in pages.Scalars(tag)] for tag in pages.Tags()["scalars"]}
        if drawn != scalars:
            sys.exit("TensorBoard draws other points than the files hold")
    reader = f"tensorboard {tensorboard.__version__}" if tensorboard else "own decoder (Python has no tensorboard)"
    json.dump({"reader": reader, "scalars": scalars}, sys.stdout)


main()
