//! Damage that sled does not tell but panics over: a page whose number is another one's, under a right checksum.

use std::collections::BTreeSet;
use std::path::Path;

const SEGMENT: usize = 1 << 20;
const SEGMENT_HEADER: usize = 20;
/// The kinds of messages that hold rows: whole pages and changes of them.
const PAGES: [u8; 2] = [8, 10];

/// One message of sled's log.
struct Message {
    begin: usize,
    /// Where its page's number stands.
    page_at: usize,
    page: usize,
    body: std::ops::Range<usize>,
}

/// Gives every page with rows that `hit` another number, save the first such, which the opening reads: these are met later.
pub fn misnumber_later_pages(store: &Path, hit: impl Fn(&[u8]) -> bool) {
    misnumber(store, |pages| {
        let hit: BTreeSet<usize> = pages.iter().filter(|(_, rows)| hit(rows)).map(|(page, _)| *page).collect();
        hit.into_iter().skip(1).collect()
    });
}

/// Gives every page another number.
pub fn misnumber_all_pages(store: &Path) {
    misnumber(store, |pages| pages.iter().map(|(page, _)| *page).collect());
}

fn misnumber(store: &Path, pick: impl Fn(&[(usize, &[u8])]) -> BTreeSet<usize>) {
    // Opened and closed, sled has noted where its pages lie, and does not go through all of its log at the next opening.
    drop(sled::Config::new().path(store).segment_size(SEGMENT).open().unwrap());
    let file = store.join("db");
    let mut bytes = std::fs::read(&file).unwrap();
    let messages: Vec<Message> = (0..bytes.len()).step_by(SEGMENT).flat_map(|begin| messages(&bytes, begin)).collect();
    let pages: Vec<(usize, &[u8])> = messages.iter().map(|m| (m.page, &bytes[m.body.clone()])).collect();
    let damaged = pick(&pages);
    assert!(!damaged.is_empty(), "no page was hit");
    for Message { begin, page_at, body, .. } in messages.iter().filter(|message| damaged.contains(&message.page)) {
        bytes[*page_at] ^= 1;
        let sum = checksum(&bytes[body.clone()], &bytes[begin + 4..body.start]);
        bytes[*begin..begin + 4].copy_from_slice(&sum.to_le_bytes());
    }
    std::fs::write(file, bytes).unwrap();
}

/// The messages of one segment that hold rows.
fn messages(bytes: &[u8], segment: usize) -> Vec<Message> {
    let end = bytes.len().min(segment + SEGMENT);
    let number_at = |at: usize| bytes.get(at..end).and_then(number);
    let (mut begin, mut found) = (segment + SEGMENT_HEADER, Vec::new());
    while let Some((length, bytes_of_length)) = number_at(begin + 5) {
        let kind = bytes[begin + 4];
        let of_segment = begin + 5 + bytes_of_length;
        let Some((_, bytes_of_segment)) = number_at(of_segment) else { break };
        let page_at = of_segment + bytes_of_segment;
        let Some((page, bytes_of_page)) = number_at(page_at) else { break };
        let body = page_at + bytes_of_page..page_at + bytes_of_page + length;
        if !(1..=11).contains(&kind) || body.end > end {
            break;
        }
        let next = body.end;
        if PAGES.contains(&kind) && bytes_of_page == 1 {
            found.push(Message { begin, page_at, page, body });
        }
        begin = next;
    }
    found
}

/// A number in sled's form, and how many bytes it takes.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let at = |n: usize| bytes.get(n).copied().map(usize::from);
    match at(0)? {
        small @ 0..=240 => Some((small, 1)),
        high @ 241..=248 => Some(((high - 241) * 256 + at(1)? + 240, 2)),
        249 => Some((at(1)? * 256 + at(2)? + 2288, 3)),
        250 => Some((at(1)? | at(2)? << 8 | at(3)? << 16, 4)),
        _ => None,
    }
}

fn checksum(body: &[u8], header: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in body.iter().chain(header) {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    // sled turns CRC-32 around once more, so that zeros have no right checksum.
    sum
}

/// Whether the rows name this member.
pub fn holds(rows: &[u8], member: &str) -> bool {
    rows.windows(member.len()).any(|window| window == member.as_bytes())
}
