//! Lines of a file or of standard input as bytes, each within the limit of a record.

use std::io::{self, BufRead, Read as _};

/// The greatest length of a record's value that stands alone, in bytes (order-events §1).
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// What a line holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its bytes, without the line's end, are in the buffer.
    Event,
    /// Nothing but white space.
    Blank,
    /// More than [`LINE_BYTES_MAX`]: this many bytes, not kept.
    TooLarge(usize),
}

/// Reads the next line into `buffer`; `None` at the end of the input. A last line needs no line's end.
pub(super) fn next_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Option<Line>> {
    buffer.clear();
    // Room for a line's end of two bytes behind the longest line.
    let longest = LINE_BYTES_MAX as u64 + 2;
    if input.by_ref().take(longest).read_until(b'\n', buffer)? == 0 {
        return Ok(None);
    }
    let is_whole = buffer.ends_with(b"\n");
    if is_whole {
        buffer.pop();
        buffer.pop_if(|byte| *byte == b'\r');
    }
    if buffer.len() > LINE_BYTES_MAX {
        let rest = if is_whole { 0 } else { skip_line(input)? };
        return Ok(Some(Line::TooLarge(buffer.len() + rest)));
    }
    Ok(Some(if buffer.trim_ascii().is_empty() { Line::Blank } else { Line::Event }))
}

/// Skips the rest of a line and counts its bytes without the line's end.
fn skip_line(input: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(skipped);
        }
        let line_end = available.iter().position(|byte| *byte == b'\n');
        let taken = line_end.unwrap_or(available.len());
        skipped += taken;
        input.consume(taken + usize::from(line_end.is_some()));
        if line_end.is_some() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(Line, usize)> {
        let (mut input, mut buffer, mut lines) = (io::BufReader::with_capacity(7, input), Vec::new(), Vec::new());
        while let Some(line) = next_line(&mut input, &mut buffer).unwrap() {
            lines.push((line, buffer.len()));
        }
        lines
    }

    #[test]
    fn a_line_is_what_stands_between_line_ends() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"{}"), [(Line::Event, 2)]);
        assert_eq!(
            lines(b"{}\r\n\n \t\nx\n"),
            [(Line::Event, 2), (Line::Blank, 0), (Line::Blank, 2), (Line::Event, 1)]
        );
    }

    #[test]
    fn a_line_too_large_is_skipped_and_the_next_one_read() {
        for (bytes, end) in [(LINE_BYTES_MAX, "\n"), (LINE_BYTES_MAX, "\r\n"), (LINE_BYTES_MAX, "")] {
            assert_eq!(lines(format!("{}{end}", "x".repeat(bytes)).as_bytes()), [(Line::Event, bytes)]);
        }
        for bytes in [LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, LINE_BYTES_MAX + 3, 3 * LINE_BYTES_MAX] {
            let input = format!("{}\n{{}}\n", "x".repeat(bytes));
            let read = lines(input.as_bytes());
            assert_eq!((&read[0].0, &read[1..]), (&Line::TooLarge(bytes), [(Line::Event, 2)].as_slice()));
            assert_eq!(lines("x".repeat(bytes).as_bytes())[0].0, Line::TooLarge(bytes));
        }
    }
}
