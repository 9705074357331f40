//! Prints what the sensor pays: nanoseconds per record pushed and per block published.
//!
//! `cargo test --release -p weir-shm --test cost -- --ignored --nocapture`
#![cfg(not(loom))]

use std::hint::black_box;
use std::time::Instant;

use weir_shm::{Attachment, Segment, Shape};

#[test]
#[ignore = "a measurement to read, with nothing to assert"]
fn cost() -> Result<(), Box<dyn std::error::Error>> {
    const ROUNDS: u64 = 1_000_000;
    for words_per_block in [64, 1024] {
        let shape =
            Shape { blocks: 1, words_per_block, ring_slots: 4096, evidence_slots: 64, schema: 0 };
        let Segment { mut blocks, mut ring, handover, .. } = Segment::create(&shape, 0)?;
        let mut attachment = Attachment::open(handover.data(), handover.cursor(), shape.schema)?;
        let values = vec![1; words_per_block];

        let start = Instant::now();
        for _ in 0..ROUNDS {
            blocks[0].publish(black_box(&values));
        }
        let publish = start.elapsed().as_nanos() as f64 / ROUNDS as f64;
        println!("publish {words_per_block} words: {publish:.1} ns");

        for bytes in [64, 200, 480] {
            let payload = vec![1; bytes];
            let mut spent = 0;
            for _ in 0..ROUNDS / 4096 {
                let start = Instant::now();
                for _ in 0..4096 {
                    ring.push(0, 0, black_box(&payload))?;
                }
                spent += start.elapsed().as_nanos();
                attachment.release(attachment.position(ring.written()))?;
            }
            let push = spent as f64 / (ROUNDS / 4096 * 4096) as f64;
            println!("push {bytes} bytes: {push:.1} ns");
        }

        let start = Instant::now();
        for _ in 0..ROUNDS {
            // Nobody reads and the ring is full: the price of a dropped record.
            let _ = black_box(ring.push(0, 0, b"dropped"));
        }
        let drop = start.elapsed().as_nanos() as f64 / ROUNDS as f64;
        println!("push into a full ring: {drop:.1} ns");
    }
    Ok(())
}
