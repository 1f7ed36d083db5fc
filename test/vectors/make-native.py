#!/usr/bin/env python3
"""Owns: test/vectors/native.json, the bytes of the native dialect.

Independent of: the code under test. This is a second encoder, written from the wire contract alone, in another language,
with no import but the standard library. `python3 test/vectors/make-native.py` writes the file again.
"""

import json
import os
from hashlib import sha256
from struct import pack

CONTROL = 0xFFFF_FFFF
SETUP = 0x7FFF_FFFE
RESPONSES = 0x7FFF_FFFC
MESSAGES = 0x7FFF_FFFD
REQUESTS = 0x7FFF_FFFF
STREAM = 0x8000_0001
PIECE = 65_536


def u8(x):
    return pack("<B", x)


def u16(x):
    return pack("<H", x)


def u32(x):
    return pack("<I", x)


def u64(x):
    return pack("<Q", x)


def frame(lane, descriptor, body=b""):
    return u32(lane) + u8(descriptor) + body


def text16(text):
    data = text.encode()
    return u16(len(data)) + data


def text8(text):
    data = text.encode()
    return u8(len(data)) + data


def counted(*parts):
    """u32 length of the rest, then the rest."""
    rest = b"".join(parts)
    return u32(len(rest)) + rest


# ---------------------------------------------------------------- hello and refusal

KEY_G = bytes([0xF0 + (i % 8) for i in range(32)])
KEY_L = bytes([0x10 + (i % 8) for i in range(32)])

HELLO = {
    "keepsIdle": False,
    "connectionId": 0,
    "maxMessageLength": 67_108_864,
    "laneWindow": 65_536,
    "resumeTimeoutMs": 120_000,
    "bootId": 1_796_000_000_000_000,
    "epoch": 0x1111_2222_3333_4444,
    "nextEpoch": 0x5555_6666_7777_8888,
    "known": 0,
    "received": 0,
    "first": 0,
    "next": 0,
    "publicKey": KEY_L,
    "helloNumber": 1,
    "links": 1,
    "replayWindow": 4_194_304,
    "streamLimit": 1_024,
}


def hello(**changes):
    h = {**HELLO, **changes}
    raw = (
        b"SWIR"
        + u8(1)
        + u8(1)
        + u16(1 if h["keepsIdle"] else 0)
        + u32(h["connectionId"])
        + u32(h["maxMessageLength"])
        + u32(h["laneWindow"])
        + u32(h["resumeTimeoutMs"])
        + u64(h["bootId"])
        + u64(h["epoch"])
        + u64(h["nextEpoch"])
        + u64(h["known"])
        + u64(h["received"])
        + u64(h["first"])
        + u64(h["next"])
        + h["publicKey"]
        + u64(h["helloNumber"])
        + u16(h["links"])
        + u32(h["replayWindow"])
        + u32(h["streamLimit"])
        + bytes(30)
    )
    assert len(raw) == 160
    return raw


def hello_fields(**changes):
    h = {**HELLO, **changes}
    big = {"bootId", "epoch", "nextEpoch", "known", "received", "first", "next", "helloNumber"}
    return {k: str(v) if k in big else v.hex() if k == "publicKey" else v for k, v in h.items()}


def hello_entry(name, **changes):
    return {"name": name, "hex": hello(**changes).hex(), "is": hello_fields(**changes)}


hellos = [
    hello_entry("the first hello of a process on link 0"),
    hello_entry("asks for the connection to stay while idle", keepsIdle=True),
    hello_entry("link 3 of 4", connectionId=3, links=4, helloNumber=9),
    hello_entry(
        "resumes an epoch",
        known=0x0102_0304_0506_0708,
        received=70_000,
        first=12,
        next=5_000_000_000,
        helloNumber=2,
        publicKey=KEY_G,
    ),
    hello_entry(
        "every field at its greatest",
        connectionId=0xFFFF_FFFE,
        maxMessageLength=2**30,
        laneWindow=2**31 - 1,
        resumeTimeoutMs=2**32 - 1,
        bootId=2**53 - 1,
        epoch=2**64 - 1,
        nextEpoch=2**64 - 1,
        known=2**64 - 1,
        received=2**53 - 1,
        first=2**53 - 1,
        next=2**53 - 1,
        helloNumber=2**53 - 1,
        links=0xFFFF,
        replayWindow=2**32 - 1,
        streamLimit=2**32 - 1,
    ),
    hello_entry(
        "every field at its least",
        maxMessageLength=65_536,
        laneWindow=1,
        resumeTimeoutMs=1,
        bootId=1,
        epoch=1,
        nextEpoch=1,
        replayWindow=1,
        streamLimit=1,
    ),
]

bad_hellos = [
    {"name": f"{field} is {value}", "hex": hello(**{field: value}).hex(), "refusal": 1}
    for field, value in [
        ("laneWindow", 0),
        ("laneWindow", 2**31),
        ("maxMessageLength", 65_535),
        ("maxMessageLength", 2**30 + 1),
        ("resumeTimeoutMs", 0),
        ("replayWindow", 0),
        ("streamLimit", 0),
        ("links", 0),
        ("bootId", 0),
        ("bootId", 2**53),
        ("helloNumber", 0),
        ("helloNumber", 2**53),
        ("epoch", 0),
        ("nextEpoch", 0),
        ("received", 2**53),
        ("first", 2**53),
        ("next", 2**53),
    ]
]


def with_byte(data, offset, value):
    return data[:offset] + u8(value) + data[offset + 1 :]


bad_hellos += [
    {"name": "the version is 2", "hex": with_byte(hello(), 5, 2).hex(), "refusal": 2},
    {"name": "the magic is SWIX", "hex": with_byte(hello(), 3, 0x58).hex(), "refusal": 0},
    {"name": "the kind is 3", "hex": with_byte(hello(), 4, 3).hex(), "refusal": 0},
]

ignored_hellos = [
    {"name": "flags above bit 0 are ignored", "hex": with_byte(hello(), 7, 0x80).hex(), "is": hello_fields()},
    {"name": "the last 30 bytes are ignored", "hex": with_byte(hello(), 159, 0xFF).hex(), "is": hello_fields()},
]


def refusal(code, message, stale=None):
    raw = b"SWIR" + u8(2) + u8(1) + u16(code) + text16(message)
    return raw if stale is None else raw + u64(stale)


NAMES = ["bad-hello", "version", "identity", "not-allowed", "crossing", "no-such-link", "busy", "stopping", "stale", "self"]
refusals = [
    {
        "name": name,
        "hex": refusal(code, f"because of {name}", 1_796_000_000_000_001 if code == 9 else None).hex(),
        "is": {"code": code, "message": f"because of {name}", "bootId": "1796000000000001" if code == 9 else None},
    }
    for code, name in enumerate(NAMES, 1)
]
refusals.append({"name": "stale, a duplicate", "hex": refusal(9, "", 0).hex(), "is": {"code": 9, "message": "", "bootId": "0"}})

# ---------------------------------------------------------------- frames

frames = []


def add(title, lane, descriptor, body, **fields):
    frames.append({"name": title, "hex": frame(lane, descriptor, body).hex(), "lane": lane, "descriptor": descriptor, "is": fields})


add("Ping", CONTROL, 0x30, u64(0x0123_4567_89AB_CDEF), echo=str(0x0123_4567_89AB_CDEF))
add("Pong", CONTROL, 0x31, u64(7) + u64(65_537), echo="7", received=65_537)
add("Ack", CONTROL, 0x32, u64(2**53 - 1), received=2**53 - 1)
add("Goodbye, normal", CONTROL, 0x33, u16(0) + u64(5) + u64(6) + text16("the network is shutting down"),
    code=0, next=5, received=6, reason="the network is shutting down")
add("Goodbye, protocol", CONTROL, 0x33, u16(1) + u64(0) + u64(0) + text16(""), code=1, next=0, received=0, reason="")
for lane_name, lane in [("a session", 7), ("messages", MESSAGES), ("requests", REQUESTS), ("responses", RESPONSES), ("a stream", STREAM)]:
    add(f"Credit on {lane_name}", lane, 0x34, u32(65_536), creditBytes=65_536)
add("Open", STREAM, 0x35, u32(65_536) + text16("écho/1") + u32(3) + b"\x01\x02\x03", window=65_536, protocol="écho/1", extra="010203")
add("Open without extra", STREAM, 0x35, u32(1) + text16("a") + u32(0), window=1, protocol="a", extra="")
add("Accept", STREAM, 0x36, u32(4_194_304), window=4_194_304)
add("Reset of a session", 9, 0x37, u16(5) + text16("an inner list"), code=5, reason="an inner list")
add("Reset of a stream with the application's code", STREAM, 0x37, u16(0x0100) + text16(""), code=256, reason="")
add("Fin", STREAM, 0x38, b"")
add("Bytes of a stream", STREAM, 0x0C, u32(5) + b"hello", bytes=b"hello".hex())

HEADERS = b"\x81\xa1a\xa1b"  # { a: 'b' }
add("Message", MESSAGES, 0x39, counted(text8("blocks.new"), u16(len(HEADERS)), HEADERS, b"body"),
    name="blocks.new", headers=HEADERS.hex(), bytes=b"body".hex())
add("Message, the smallest", MESSAGES, 0x39, counted(text8(""), u16(0)), name="", headers="", bytes="")
add("Request", REQUESTS, 0x3A, counted(u32(0xFFFF_FFFF), u32(2_000), text8("blocks.get"), u16(len(HEADERS)), HEADERS, b"q"),
    nonce=0xFFFF_FFFF, timeLeftMs=2_000, name="blocks.get", headers=HEADERS.hex(), bytes=b"q".hex())
add("Request, the smallest", REQUESTS, 0x3A, counted(u32(1), u32(0), text8(""), u16(0)),
    nonce=1, timeLeftMs=0, name="", headers="", bytes="")
add("Response, ok", RESPONSES, 0x3B, counted(u32(1), u8(0), b"answer"), nonce=1, status=0, bytes=b"answer".hex())
add("Response, ok, the smallest", RESPONSES, 0x3B, counted(u32(1), u8(0)), nonce=1, status=0, bytes="")
for status, name in [(1, "the handler failed"), (2, "no-handler"), (3, "refused"), (4, "cancelled"), (5, "too-late")]:
    add(f"Response, {name}", RESPONSES, 0x3B, counted(u32(2), u8(status), text8("E1"), text16("it failed"), b"\x07"),
        nonce=2, status=status, code="E1", message="it failed", bytes="07")
add("Cancel", REQUESTS, 0x3C, u32(77), nonce=77)
CALL_L, CALL_G, CALL_H = 0x0A0A_0A0A_0A0A_0A0A, 0x0505_0505_0505_0505, 0x3333_3333_3333_3333
add("Want", SETUP, 0x3D, u32(41) + u64(CALL_L) + u16(3) + text8("rounds"), k=41, callId=str(CALL_L), count=3, name="rounds")
add("Want without a name", SETUP, 0x3D, u32(0x7FFF_FFFF) + u64(1) + u16(0xFFFF) + text8(""),
    k=0x7FFF_FFFF, callId="1", count=0xFFFF, name="")
add("Make", SETUP, 0x3E, u32(41) + u64(CALL_G) + u32(12) + u32(65_536), k=41, callId=str(CALL_G), firstId=12, window=65_536)
add("Made", SETUP, 0x3F, u32(41) + u32(65_536), k=41, window=65_536)
for reason, own in [(1, 0), (2, 8), (3, 0)]:
    add(f"Refuse {reason}", SETUP, 0x40, u32(41) + u8(reason) + u16(own), k=41, reason=reason, ownCount=own)
add("Agree", SETUP, 0x41, u32(41) + u64(CALL_L ^ CALL_G), k=41, set=str(CALL_L ^ CALL_G))
add("MsgPack", 3, 0x20, counted(b"\x82\xa1a\xc3\xa1b\x93\x01\xff\xcb\x3f\xf8" + bytes(6)), value={"a": True, "b": [1, -1, 1.5]})
add("Piece on a session", 3, 0x21, u32(4) + b"\x0c\x01\x02\x03", bytes="0c010203")


def pieces(lane, whole):
    """The frame without its session id, cut."""
    return [frame(lane, 0x21, counted(whole[at : at + PIECE])) for at in range(0, len(whole), PIECE)]


def pattern(length):
    return bytes((i * 7 + (i >> 8) + (i >> 16) * 13) & 0xFF for i in range(length))


PATTERN = pattern(1_000_000)


def parts_of(data):
    """The bytes as a list of hex strings, `{ zeros }` and `{ pattern: [from, to] }`, so that long frames stay readable."""
    parts, at, plain = [], 0, b""
    while at < len(data):
        run = 0
        if data[at : at + 64] == bytes(64):
            while at + run < len(data) and data[at + run] == 0:
                run += 1
            part = {"zeros": run}
        else:
            start = PATTERN.find(data[at : at + 600]) if len(data) - at >= 600 else -1
            if start >= 0:
                while at + run < len(data) and data[at + run] == PATTERN[start + run]:
                    run += 1
                part = {"pattern": [start, start + run]}
        if run == 0:
            plain += data[at : at + 1]
            at += 1
            continue
        if plain:
            parts.append(plain.hex())
            plain = b""
        parts.append(part)
        at += run
    return parts + ([plain.hex()] if plain else [])


def value_frames(n):
    whole = b"\x0c" + counted(pattern(n))
    return pieces(5, whole) if n > PIECE else [frame(5, 0x0C, whole[1:])]


# ---------------------------------------------------------------- frames that break the protocol, from their own bytes alone

rejected = [
    {"name": name, "parts": parts_of(frame(lane, descriptor, body)), "link": link}
    for name, lane, descriptor, body, link in [
        ("Ping on a session", 0, 0x30, u64(1), 0),
        ("Open on a session", 0, 0x35, u32(1) + text16("a") + u32(0), 0),
        ("Fin on a session", 0, 0x38, b"", 0),
        ("a value on the control lane", CONTROL, 0x0C, u32(1) + b"x", 0),
        ("Credit on the control lane", CONTROL, 0x34, u32(1), 0),
        ("Credit on the set-up lane", SETUP, 0x34, u32(1), 0),
        ("Want on link 1", SETUP, 0x3D, u32(1) + u64(1) + u16(1) + text8(""), 1),
        ("Agree on link 1", SETUP, 0x41, u32(1) + u64(1), 1),
        ("Message on link 1", MESSAGES, 0x39, counted(text8(""), u16(0)), 1),
        ("Request on link 1", REQUESTS, 0x3A, counted(u32(1), u32(0), text8(""), u16(0)), 1),
        ("Response on link 1", RESPONSES, 0x3B, counted(u32(1), u8(0)), 1),
        ("Request on the messages lane", MESSAGES, 0x3A, counted(u32(1), u32(0), text8(""), u16(0)), 0),
        ("Message on the requests lane", REQUESTS, 0x39, counted(text8(""), u16(0)), 0),
        ("Cancel on the responses lane", RESPONSES, 0x3C, u32(1), 0),
        ("Piece on a stream", STREAM, 0x21, u32(1) + b"x", 0),
        ("Piece on the set-up lane", SETUP, 0x21, u32(1) + b"x", 0),
        ("a lane that is not assigned", 0x4000_0000, 0x0C, u32(1) + b"x", 0),
        ("another lane that is not assigned", 0x7FFF_FFFB, 0x34, u32(1), 0),
        ("an unknown descriptor", 0, 0x42, b"", 0),
        ("Credit of 0", 3, 0x34, u32(0), 0),
        ("Piece of 0 bytes", 3, 0x21, u32(0), 0),
        ("Piece of 65,537 bytes", 3, 0x21, counted(bytes(PIECE + 1)), 0),
        ("Message of 2 bytes", MESSAGES, 0x39, counted(b"\x00\x00"), 0),
        ("Message whose name does not fit", MESSAGES, 0x39, counted(u8(9), u16(0), b"abc"), 0),
        ("Message whose headers do not fit", MESSAGES, 0x39, counted(text8(""), u16(4), b"abc"), 0),
        ("Message with headers of 8,193 bytes", MESSAGES, 0x39, counted(text8(""), u16(8_193), bytes(8_193)), 0),
        ("Request of 10 bytes", REQUESTS, 0x3A, counted(bytes(10)), 0),
        ("Request with the nonce 0", REQUESTS, 0x3A, counted(u32(0), u32(0), text8(""), u16(0)), 0),
        ("Response with the status 6", RESPONSES, 0x3B, counted(u32(1), u8(6), text8(""), text16("")), 0),
        ("Response of 4 bytes", RESPONSES, 0x3B, counted(bytes(4)), 0),
        ("Response with an error of 7 bytes", RESPONSES, 0x3B, counted(u32(1), u8(1), b"\x00\x00"), 0),
        ("Response with a code of 65 bytes", RESPONSES, 0x3B, counted(u32(1), u8(1), text8("a" * 65), text16("")), 0),
        ("Response with a message of 1,025 bytes", RESPONSES, 0x3B, counted(u32(1), u8(1), text8(""), text16("a" * 1_025)), 0),
        ("Want with the count 0", SETUP, 0x3D, u32(1) + u64(1) + u16(0) + text8(""), 0),
        ("Want whose name is not UTF-8", SETUP, 0x3D, u32(1) + u64(1) + u16(1) + u8(1) + b"\xff", 0),
        ("Make with the window 0", SETUP, 0x3E, u32(1) + u64(1) + u32(0) + u32(0), 0),
        ("Made with the window 0", SETUP, 0x3F, u32(1) + u32(0), 0),
        ("Reset with a reason of 257 bytes", 3, 0x37, u16(0) + text16("a" * 257), 0),
        ("Open without a name", STREAM, 0x35, u32(1) + text16("") + u32(0), 0),
        ("Open with a name of 256 bytes", STREAM, 0x35, u32(1) + text16("a" * 256) + u32(0), 0),
        ("Open with extra of 65,537 bytes", STREAM, 0x35, u32(1) + text16("a") + counted(bytes(65_537)), 0),
        ("Bytes of 0 on a stream", STREAM, 0x0C, u32(0), 0),
        ("Bytes of 65,537 on a stream", STREAM, 0x0C, counted(bytes(PIECE + 1)), 0),
        ("a session value of 65,537 bytes in one frame", 3, 0x0C, counted(bytes(PIECE + 1)), 0),
    ]
]

# ---------------------------------------------------------------- transcripts

# L dials and is played from the file; G accepts and is the side under test, or the other way round. Only counted frames
# are listed: Ping, Pong and Ack depend on time. What is random (epochs, call ids, boot ids) is part of the transcript.

L_EPOCH, L_NEXT, G_EPOCH, G_NEXT = 0x1000_0000_0000_0001, 0x1000_0000_0000_0002, 0x2000_0000_0000_0001, 0x2000_0000_0000_0002
BOOT_L, BOOT_G = 1_796_000_000_000_000, 1_796_000_000_000_777


def l_hello(**changes):
    return hello(**{"keepsIdle": True, "publicKey": KEY_L, "epoch": L_EPOCH, "nextEpoch": L_NEXT, "bootId": BOOT_L, **changes})


def g_hello(**changes):
    return hello(**{"keepsIdle": True, "publicKey": KEY_G, "epoch": G_EPOCH, "nextEpoch": G_NEXT, "bootId": BOOT_G, **changes})


def step(side, what, data):
    return {"from": side, "what": what, "parts": parts_of(data)}


K = 41
SET = CALL_L ^ CALL_G
SETUP_STEPS = [
    step("L", "Want", frame(SETUP, 0x3D, u32(K) + u64(CALL_L) + u16(2) + text8("rounds"))),
    step("G", "Make: sessions 0 and 1", frame(SETUP, 0x3E, u32(K) + u64(CALL_G) + u32(0) + u32(65_536))),
    step("L", "Made", frame(SETUP, 0x3F, u32(K) + u32(65_536))),
    step("L", "Agree", frame(SETUP, 0x41, u32(K) + u64(SET))),
    step("G", "Agree", frame(SETUP, 0x41, u32(K) + u64(SET))),
]
HELLO_STEPS = [step("L", "hello", l_hello()), step("G", "hello", g_hello())]

LONG = b"\x0c" + counted(pattern(150_000))  # Bytes, descriptor and length field included: 150,005 bytes, three Pieces
PIECE_STEPS = [step("L", f"Piece {i + 1} of 3", data) for i, data in enumerate(pieces(0, LONG))]
CREDIT = step("G", "Credit for all Pieces", frame(0, 0x34, u32(150_005 + 3 * 9)))
SMALL = step("L", "RingElement32 on session 1", frame(1, 0x04, u32(4_000_000_000)))

transcripts = [
    {
        "name": "two sessions are set up by name, and carry a value each way",
        "links": 1,
        "call": {"name": "rounds", "count": 2, "callIdL": str(CALL_L), "callIdG": str(CALL_G), "set": str(SET), "k": K},
        "steps": HELLO_STEPS
        + SETUP_STEPS
        + [SMALL, step("G", "Bytes on session 0", frame(0, 0x0C, counted(b"from G")))],
    },
    {
        "name": "a value of 150,000 bytes comes in three Pieces, and a small value overtakes it",
        "links": 1,
        "call": {"name": "rounds", "count": 2, "callIdL": str(CALL_L), "callIdG": str(CALL_G), "set": str(SET), "k": K},
        "value": {"session": 0, "pattern": 150_000},
        "steps": HELLO_STEPS + SETUP_STEPS + [PIECE_STEPS[0], CREDIT, SMALL, PIECE_STEPS[1], PIECE_STEPS[2]],
    },
    {
        "name": "the socket breaks within the second Piece, and the value goes on from there",
        "links": 1,
        "call": {"name": "rounds", "count": 2, "callIdL": str(CALL_L), "callIdG": str(CALL_G), "set": str(SET), "k": K},
        "value": {"session": 0, "pattern": 150_000},
        # L has sent Want, Made, Agree and one Piece: 4 counted frames. G has sent Make and Agree, and one Credit for the
        # whole value on session 0: 3 Pieces of 9 bytes beside the 150,005.
        "steps": HELLO_STEPS
        + SETUP_STEPS
        + [
            PIECE_STEPS[0],
            CREDIT,
            step("L", "half of Piece 2", pieces(0, LONG)[1][:30_000]),
            {"break": True},
            step("L", "hello", l_hello(known=G_EPOCH, helloNumber=2, received=3, first=0, next=5)),
            step("G", "hello", g_hello(known=L_EPOCH, helloNumber=2, received=4, first=0, next=3)),
            PIECE_STEPS[1],
            PIECE_STEPS[2],
        ],
    },
]

result = {
    "about": "Bytes of the native dialect, made by make-native.py, a second encoder; see README.md.",
    "keys": {"G": KEY_G.hex(), "L": KEY_L.hex()},
    "hellos": hellos + ignored_hellos,
    "badHellos": bad_hellos,
    "refusals": refusals,
    "frames": frames,
    "rejected": rejected,
    "pieces": {
        "about": "Bytes (0x0C) of this many bytes of the pattern (i * 7 + (i >> 8) + (i >> 16) * 13) & 0xff on session 5, as frames",
        "cases": [
            {"lengthBytes": n, "frames": [len(f) for f in fs], "sha256": sha256(b"".join(fs)).hexdigest()}
            for n in [0, 1, 65_531, 65_536, 65_537, 131_067, 131_068, 1_000_000]
            for fs in [value_frames(n)]
        ],
    },
    "transcripts": transcripts,
}

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native.json")
with open(path, "w", encoding="utf-8") as file:
    json.dump(result, file, indent=1, ensure_ascii=False)
    file.write("\n")
print(f"{len(hellos)} hellos, {len(bad_hellos)} bad hellos, {len(frames)} frames, {len(rejected)} rejected, {len(transcripts)} transcripts")
