//! JSON, and lines of JSON: words, numbers, texts and marks.

use super::Format;

pub(super) const JSON: Format = Format {
    is: |bytes| matches!(bytes.first(), Some(b'{' | b'[')),
    open: |bytes| Some(tokens(bytes)),
    close: <[Vec<u8>]>::concat,
    words: &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"false",
        b"NaN",
        b"-Infinity",
        b"// words\n",
        b"/* words */",
        b"'",
        b"\"",
        b"\"\\ud800\"",
        b"\"\\u0000\"",
        b"\"\x1b[2J\"",
        b"0",
        b"-1",
        b"0.5",
        b"1e400",
        b"1e-400",
        b"18446744073709551615",
        b"1e19",
        b"\"data\"",
        b"\"source\"",
        b"\"gmm\"",
        b"\"folder\"",
        b"\"idx\"",
        b"\"path\"",
        b"\"images\"",
        b"\"langevin\"",
        b"\"steps\"",
        b"\"epsilon\"",
        b"\"start\"",
        b"\"persistent\"",
        b"\"optimizer\"",
        b"\"output\"",
        b"\"landscape\"",
        b"\"long_run\"",
        b"\"base\"",
        b"\"variants\"",
        b"\"set\"",
        b"\"_comment\"",
        b"\"seed\"",
        b"\"size\"",
        b"\"limit\"",
        b"\"short-run\"",
        b"\"langevin.steps=0\"",
        b"\"data={}\"",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xe2\x80\x9c",
        b"\n",
        b" ",
        b"\"dtype\"",
        b"\"F32\"",
        b"\"F16\"",
        b"\"BF16\"",
        b"\"F64\"",
        b"\"I64\"",
        b"\"shape\"",
        b"\"data_offsets\"",
        b"[0,8]",
        b"\"__metadata__\"",
        b"\"format\"",
        b"\"iteration\"",
        b"\"ebm.net\"",
    ],
};

fn tokens(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut in_text = false;
    let mut escaped = false;
    let mut last = 0;
    for &byte in bytes {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
        let joins = in_text || (is_word(byte) && is_word(last));
        match tokens.last_mut().filter(|_| joins) {
            Some(token) => token.push(byte),
            None => tokens.push(vec![byte]),
        }
        if byte == b'"' && !escaped {
            in_text = !in_text;
        }
        escaped = byte == b'\\' && !escaped && in_text;
        last = byte;
    }
    tokens
}
