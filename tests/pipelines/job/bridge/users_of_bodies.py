"""Bodies of records without a key, and the user that each names."""


def nested(depth: int) -> bytes:
    return b'{"x":' + b"[" * depth + b"]" * depth + b',"user_id":"u"}'


def number(digits: int) -> bytes:
    return b'{"user_id":' + b"1" * digits + b"}"


def long_name(size: int) -> bytes:
    return b'{"' + b"n" * size + b'":1,"user_id":"u"}'


# as Flink SQL's JSON_VALUE(CAST(value AS STRING), '$.user_id') gave them in 2.3.0 (docs/decisions/0035-kafka-without-sql.md)
USERS_OF_BODIES = {
    b'{"user_id":"u1"}': b"u1",
    b'{"user_id":1}': b"1",
    b'{"user_id":1.50}': b"1.50",
    b'{"user_id":1e2}': b"1E+2",
    b'{"user_id":-0.0}': b"0.0",
    b'{"user_id":1e999}': b"1E+999",
    b'{"user_id":12345678901234567890123}': b"12345678901234567890123",
    b'{"user_id":0.1000000000000000055511151231257827}': b"0.1000000000000000055511151231257827",
    b'{"user_id":true}': b"true",
    b'{"user_id":null}': b"",
    b'{"user_id":""}': b"",
    b'{"user_id":" u "}': b" u ",
    b'{"user_id":{"a":"u"}}': b"",
    b'{"user_id":["u"]}': b"",
    b'{"user_id":"a","user_id":"b"}': b"b",
    b'{"user_id":"a","user_id":null}': b"",
    b'{"user_id":"a","user_id":{}}': b"",
    b'{"\\u0075ser_id":"u"}': b"u",
    b'{"user_id":"\\u0075\\n\\t\\"\\\\/"}': b'u\n\t"\\/',
    b'{"user_id":"\\ud83d\\udc4d"}': b"\xf0\x9f\x91\x8d",
    b'{"user_id":"lone\\udcff"}': b"lone?",
    b'{"user_id":"\\u0000"}': b"\x00",
    b'{"USER_ID":"u"}': b"",
    b'{"x":{"user_id":"u"}}': b"",
    b'[{"user_id":"u"}]': b"",
    b'"u"': b"",
    b"1": b"",
    b"null": b"",
    b"   ": b"",
    b"{": b"",
    b"{}": b"",
    b'{"user_id":"u"': b"",
    b'{"user_id":"u"} trailing': b"u",
    b'{"user_id":"u"}{"user_id":"v"}': b"u",
    b'{"user_id":"u","x":tru}': b"",
    b'{"user_id":"u","x":[1,}': b"",
    b'{"user_id":"u",}': b"",
    b"{'user_id':'u'}": b"",
    b'{user_id:"u"}': b"",
    b'{"user_id":NaN}': b"",
    b'{"user_id":01}': b"",
    b'{"user_id":+1}': b"",
    b'{"user_id":.5}': b"",
    b'{"user_id":"a\tb"}': b"",
    b'{"user_id":"a\nb"}': b"",
    b'/*c*/{"user_id":"u"}': b"",
    b'{"user_id":"u"//c\n}': b"",
    b' \t\r\n{"user_id" : "u" } ': b"u",
    b'\xef\xbb\xbf{"user_id":"u"}': b"",
    b'{"user_id":"\xef\xbb\xbfu"}': b"\xef\xbb\xbfu",
    b'{"user_id":"\xef\xbf\xbe"}': b"\xef\xbf\xbe",
    b'{"\xef\xbb\xbfuser_id":"u"}': b"",
    b'{"$.user_id":"u"}': b"",
    b'{"user_id.x":"u"}': b"",
    b'{"user":{"id":"u"}}': b"",
    b'{"user_id":"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xf0\x9f\x91\x8d"}': b"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xf0\x9f\x91\x8d",
    b'{"user_id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}': b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b'{"user_id":"\xff"}': b"\xef\xbf\xbd",
    b'{"user_id":"a\xc3"}': b"a\xef\xbf\xbd",
    b'{"user_id":"\xed\xa0\x80"}': b"\xef\xbf\xbd",
    b'{"user_id":"\xc0\x80"}': b"\xef\xbf\xbd\xef\xbf\xbd",
    b'{"user_id":"\xf4\x90\x80\x80"}': b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
    b'\xff\xfe{"user_id":"u"}': b"",
    b'{"x":"\xff","user_id":"u"}': b"u",
    b"\x00": b"",
    b'{"user_id":"u"}\x00': b"u",
    b'{"user_id":"u\xe2\x80\xa8"}': b"u\xe2\x80\xa8",
    b'{"us\xffer_id":"u"}': b"",
    nested(999): b"u",
    nested(1000): b"",
    number(1000): b"1" * 1000,
    number(1001): b"",
    long_name(50_000): b"u",
    long_name(50_001): b"",
    '{"user_id":"u"}'.encode("utf-16"): b"",
}
