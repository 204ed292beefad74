"""MongoDB's wire protocol, the server's side: OP_MSG, and OP_QUERY for the first hello of a client. No state."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import bson
import bson.raw_bson

__all__ = ["HEADER", "OP_MSG", "Document", "Raw", "framed", "messages", "packed", "parsed"]

Document = dict[str, Any]
Raw = bytes  # a document as it is on the wire

HEADER = struct.Struct("<iiii")  # length, request, answer to which request, kind
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
LONGEST_MESSAGE_BYTES = 48_000_000


def parsed(kind: int, body: bytes) -> Document:
    """Return the command in a message."""
    if kind == OP_QUERY:
        begin = body.index(0, 4) + 9  # after the flags, the name of a collection, and two numbers
        return {**bson.decode(body[begin:]), "$db": "admin"}
    command: Document = {}
    sequences: Document = {}
    position = 4
    end = len(body) - (4 if body[0] & 1 else 0)  # without the checksum
    while position < end:
        section, position = body[position], position + 1
        length = int.from_bytes(body[position : position + 4], "little")
        if section == 0:
            command = bson.decode(body[position : position + length])
        else:
            zero = body.index(0, position + 4)
            documents = body[zero + 1 : position + length]
            sequences[body[position + 4 : zero].decode()] = [raw.raw for raw in bson.decode_all(documents, RAW)]
        position += length
    if "documents" in command:
        command["documents"] = [bson.encode(document) for document in command["documents"]]
    return {**command, **sequences}


RAW: Any = bson.CodecOptions(document_class=bson.raw_bson.RawBSONDocument)


def packed(kind: int, request: int, answer: Raw) -> bytes:
    """Return a message."""
    if kind == OP_QUERY:
        body, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, OP_REPLY
    else:
        body = b"\0\0\0\0\0" + answer
    return HEADER.pack(HEADER.size + len(body), 0, request, kind) + body


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, bytes]]:
    """Yield kind, number and body of each message until the client goes away."""
    while True:
        try:
            length, number, _, kind = HEADER.unpack(await reader.readexactly(HEADER.size))
            if not HEADER.size <= length <= LONGEST_MESSAGE_BYTES:
                return  # it speaks something else, such as TLS
            body = await reader.readexactly(length - HEADER.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        yield kind, number, body


def framed(elements: bytes) -> Raw:
    """Return elements of a document with their length in front and the end behind."""
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"
