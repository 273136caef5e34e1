//! Writes one record over a bare socket, byte for byte as given: what no client library lets a test write.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Writes `value` with these headers to partition 0 by Kafka's own protocol, and waits for the broker's yes.
pub fn produce(broker: &str, topic: &str, value: &[u8], headers: &[(&[u8], &[u8])]) {
    let batch = batch(value, headers);
    let mut request = Vec::new();
    // Produce, version 3, correlation id 7; no client id, no transaction; acks of all replicas within 10 s.
    put(&mut request, &[&0_i16.to_be_bytes(), &3_i16.to_be_bytes(), &7_i32.to_be_bytes()]);
    put(&mut request, &[&(-1_i16).to_be_bytes(), &(-1_i16).to_be_bytes(), &(-1_i16).to_be_bytes()]);
    put(&mut request, &[&10_000_i32.to_be_bytes(), &1_i32.to_be_bytes()]);
    put(&mut request, &[&i16::try_from(topic.len()).unwrap().to_be_bytes(), topic.as_bytes()]);
    put(&mut request, &[&1_i32.to_be_bytes(), &0_i32.to_be_bytes(), &size(&batch), &batch]);
    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&size(&request)).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, one topic with its name, one partition, its number; then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker refused the record");
}

fn batch(value: &[u8], headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    // Attributes, no difference in time and offset, no key.
    let mut record = vec![0, 0, 0, 1];
    put(&mut record, &[&varint(value.len()), value, &varint(headers.len())]);
    for (name, value) in headers {
        put(&mut record, &[&varint(name.len()), name, &varint(value.len()), value]);
    }
    // Attributes, the last offset's difference, two times, no producer, one record.
    let mut covered = Vec::new();
    // Of now: a record that is older than the topic's retention may be gone before it is read.
    let time = order_sync::app::worker::wall_ms().to_be_bytes();
    put(&mut covered, &[&[0; 2], &[0; 4], &time, &time, &[0xff; 8], &[0xff; 2], &[0xff; 4], &1_i32.to_be_bytes()]);
    put(&mut covered, &[&varint(record.len()), &record]);
    // Leader epoch, magic, checksum.
    let mut rest = vec![0xff, 0xff, 0xff, 0xff, 2];
    put(&mut rest, &[&crc32c(&covered).to_be_bytes(), &covered]);
    let mut batch = vec![0; 8];
    put(&mut batch, &[&size(&rest), &rest]);
    batch
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn size(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap().to_be_bytes()
}

/// A length as a variable-length integer: twice itself, as it is not negative, in groups of seven bits.
fn varint(length: usize) -> Vec<u8> {
    let (mut rest, mut out) = (length * 2, Vec::new());
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
    out
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
