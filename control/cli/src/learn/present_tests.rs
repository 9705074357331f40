use super::*;
use crate::learn::fixture::{flow, inventory};

const POLICY: &str = "[[allow]]\nfrom = { role = \"gnb\" }\nto = { cidr = \"10.0.0.0/24\" }\n\
                      services = [\"udp/53\", \"gtpu\", \"https\"]\nexpires = 2026-02-01\n";

fn is_allowed(record: &Record) -> bool {
    let inventory = inventory();
    let policy = weir_policy::policy_from_str("policy.toml", POLICY, &inventory).unwrap().value;
    allows(&policy, &inventory, record)
}

#[test]
fn a_flow_is_judged_as_the_sensor_judges() {
    assert!(is_allowed(&flow("10.0.0.1", "10.0.0.21", 17, 53, 0)));
    assert!(!is_allowed(&flow("10.0.0.1", "10.0.0.21", 6, 53, 0)), "another protocol");
    assert!(!is_allowed(&flow("10.0.0.1", "192.0.2.1", 17, 53, 0)), "another place");
    assert!(!is_allowed(&flow("10.0.0.11", "10.0.0.21", 17, 53, 0)), "another role");
    assert!(is_allowed(&flow("10.0.0.11", "10.0.0.1", 17, 2152, 0)), "either end may open");
    assert!(!is_allowed(&flow("10.0.0.11", "10.0.0.1", 6, 443, 0)), "only one end may");
    assert!(!is_allowed(&flow("10.0.0.1", "10.0.0.21", 17, 53, 40 * 86_400)), "it is over");
}

#[test]
fn where_no_handshake_proves_who_opened_either_may_have() {
    let mut answer = flow("10.0.0.21", "10.0.0.1", 17, 40_000, 0);
    answer.source.1 = 53;
    assert!(is_allowed(&answer));
    let mut amid = flow("10.0.0.11", "10.0.0.1", 6, 40_000, 0);
    amid.source.1 = 443;
    assert!(!is_allowed(&amid));
    assert!(is_allowed(&Record { is_opener_known: false, ..amid }));
}
