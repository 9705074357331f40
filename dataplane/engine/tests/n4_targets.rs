//! Where orders may send traffic: every target in a rule counts, however it is named.

mod lab;

use lab::n4::*;
use weir_engine::detect::{PFCP_DUPL, PFCP_REDIR};

const FOREIGN: [u8; 4] = [192, 0, 2, 7];

fn header(to: [u8; 4]) -> Vec<u8> {
    ie(84, &[&[1, 0, 0, 0, 0, 9][..], &to].concat())
}

/// Redirect Information: a type and a text, and where there are two, another.
fn redirect(kind: u8, texts: &[&str]) -> Vec<u8> {
    let mut value = vec![kind];
    for text in texts {
        value.extend((text.len() as u16).to_be_bytes());
        value.extend(text.as_bytes());
    }
    ie(38, &value)
}

/// Who is named as a target, by detection, when a session's FAR is updated so.
fn targets(members: &[Vec<u8>]) -> Vec<(u16, Option<weir_wire::Address>)> {
    let mut machine = Machine::new();
    machine.establish(SMF, 1, 2, 100);
    let (before, _) = machine.signalling.accusations();
    assert_eq!(before.len(), 0);
    machine.now += SECOND;
    let far = [&[ie(108, &[0, 0, 0, 1])][..], members].concat();
    machine.agree(52, [2, 1], &[group(10, &far)], &[cause(1)]);
    let (found, _) = machine.signalling.accusations();
    found.into_iter().map(|it| (it.detection, it.peer)).collect()
}

#[test]
fn a_foreign_target_beside_a_declared_one_is_seen_in_either_order() {
    let foreign = vec![(PFCP_REDIR, Some(address(FOREIGN)))];
    for ends in [[GNB, FOREIGN], [FOREIGN, GNB]] {
        let parameters = group(11, &ends.map(header));
        assert_eq!(targets(&[parameters]), foreign, "{ends:?}");
    }
    let parameters = [GNB, FOREIGN].map(|end| group(11, &[header(end)]));
    assert_eq!(targets(&parameters), foreign, "in two groups");
    // However many declared ones stand before or behind it.
    let gnb = |teid: u8| ie(84, &[&[1, 0, 0, 0, 0, teid][..], &GNB].concat());
    let mut many: Vec<Vec<u8>> = (1..40).map(gnb).collect();
    many.push(header(FOREIGN));
    assert_eq!(targets(&[group(11, &many)]), foreign);
    many.reverse();
    assert_eq!(targets(&[group(11, &many)]), foreign);
    assert_eq!(targets(&[group(11, &[header(GNB)])]), vec![]);
}

#[test]
fn a_redirect_is_seen_in_every_type_that_names_an_address() {
    let foreign = vec![(PFCP_REDIR, Some(address(FOREIGN)))];
    let own = "10.0.0.1";
    for (kind, texts) in [
        (0, vec!["192.0.2.7"]),
        (2, vec!["http://192.0.2.7:80/portal"]),
        (3, vec!["sip:x@192.0.2.7"]),
        (4, vec![own, "192.0.2.7"]),
        (4, vec!["192.0.2.7", own]),
    ] {
        let parameters = group(11, &[redirect(kind, &texts)]);
        assert_eq!(targets(&[parameters]), foreign, "{kind} {texts:?}");
    }
    let two = [redirect(0, &["192.0.2.7"]), redirect(0, &[own])];
    assert_eq!(targets(&[group(11, &two)]), foreign, "the first of two");
    for (kind, text) in [(0, own), (2, "http://portal.example/"), (2, "http://10.0.0.1/")] {
        assert_eq!(targets(&[group(11, &[redirect(kind, &[text])])]), vec![], "{kind} {text}");
    }
}

#[test]
fn every_target_of_copies_is_counted() {
    let copies = [[10, 9, 9, 9], FOREIGN].map(|to| group(105, &[header(to)]));
    let named = |to| (PFCP_DUPL, Some(address(to)));
    let found = targets(&copies);
    assert_eq!(found, vec![named([10, 9, 9, 9]), named(FOREIGN)]);
    let both = group(105, &[[10, 9, 9, 9], FOREIGN].map(header));
    assert_eq!(targets(&[both]), found, "in one group");
}
