//! What the two processes send each other: noise is refused, and what is taken
//! says the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::contract::verdict::{MAX_BYTES, Verdict};
use weir_policy::PolicyMessage;

fuzz_target!(|bytes: &[u8]| {
    if let Some(verdict) = Verdict::decode(bytes)
        && let Some(again) = verdict.encode(&mut [0; MAX_BYTES])
    {
        // Not a number is unequal to itself: compare what is printed.
        let read = Verdict::decode(again);
        assert_eq!(format!("{read:?}"), format!("{:?}", Some(verdict)));
    }
    if let Ok(message) = PolicyMessage::decode(bytes) {
        let _ = message.encode();
    }
});
