//! The key `gtpu`: the header, its extension headers, and the elements of messages that have some.

use std::net::IpAddr;

use weir_wire::ErrorKind;
use weir_wire::gtpu::{Gtpu, Message};
use weir_wire::gtpu_element::{Element, Elements};
use weir_wire::gtpu_extension::{Extension, Extensions, PDU_SESSION_CONTAINER};
use weir_wire::pdu_session::PduSession;

use super::json::Json;

/// The fields of the header that a UDP payload begins with; of one that is cut or whose length
/// can't be, what is there.
pub(super) fn write(bytes: &[u8], json: &mut Json<'_>) {
    match Gtpu::parse(bytes) {
        Ok(gtpu) => whole(&gtpu, json),
        Err(_) => part(bytes, json),
    }
}

fn part(bytes: &[u8], json: &mut Json<'_>) {
    let teid = bytes.get(4..).and_then(|field| field.first_chunk());
    let length = bytes.get(2..).and_then(|field| field.first_chunk());
    json.number_if_any("type", bytes.get(1).copied());
    json.number_if_any("teid", teid.map(|field| u32::from_be_bytes(*field)));
    json.number_if_any("length", length.map(|field| u16::from_be_bytes(*field)));
    json.key("seq").number_or_null(None::<u16>);
    json.key("npdu").number_or_null(None::<u8>);
    json.key("ext").list(|_| {});
}

fn whole(gtpu: &Gtpu<'_>, json: &mut Json<'_>) {
    json.key("type").number(gtpu.message_code());
    json.key("teid").number(gtpu.teid().0);
    json.key("length").number(gtpu.length());
    json.key("seq").number_or_null(gtpu.sequence());
    json.key("npdu").number_or_null(gtpu.n_pdu());
    let mut extensions = gtpu.extensions();
    json.key("ext").list(|json| extension_headers(&mut extensions, json));
    if gtpu.message() == Message::GPdu {
        return;
    }
    let mut elements = Elements::new(extensions.rest()).map_while(Result::ok).peekable();
    if elements.peek().is_some() {
        json.key("ie").list(|json| {
            elements.for_each(|element| json.object(|json| information_element(&element, json)));
        });
    }
}

/// The chain. A header that ends it by its length is listed with the length that it claims.
fn extension_headers(extensions: &mut Extensions<'_>, json: &mut Json<'_>) {
    loop {
        let claimed = extensions.claimed();
        match extensions.next() {
            None => return,
            Some(Ok(extension)) => json.object(|json| extension_header(&extension, json)),
            Some(Err(error)) => {
                if let Some((kind, len)) = claimed.filter(|_| error.kind != ErrorKind::Depth) {
                    json.object(|json| {
                        json.key("type").number(kind);
                        json.key("len").number(len);
                    });
                }
                return;
            }
        }
    }
}

fn extension_header(extension: &Extension<'_>, json: &mut Json<'_>) {
    json.key("type").number(extension.kind);
    json.key("len").number(extension.len());
    if extension.kind == PDU_SESSION_CONTAINER
        && let Ok(container) = PduSession::parse(extension.content)
    {
        pdu_session(&container, json);
    }
}

/// A PDU Session Container (TS 38.415 §5.5.2). RQI, PPP and PPI are fields of the downlink PDU
/// only, QMP and SNP of the two that are defined.
fn pdu_session(container: &PduSession<'_>, json: &mut Json<'_>) {
    json.key("pdu_type").number(container.pdu_type());
    json.key("qfi").number(container.qfi());
    if container.pdu_type() == 0 {
        json.key("rqi").truth(container.rqi());
        json.key("ppp").truth(container.ppp());
        json.key("ppi").number_or_null(container.ppi());
    }
    if container.pdu_type() > 1 {
        return;
    }
    json.key("qmp").truth(container.qmp());
    json.key("snp").truth(container.snp());
    json.number_if_any("qfi_seq", container.qfi_sequence_number());
    json.number_if_any("mbs_qfi_seq", container.mbs_qfi_sequence_number());
    // Time stamps have 64 bits (RFC 5905).
    let stamps = [
        ("dl_sent", container.dl_sending_time_stamp()),
        ("dl_received", container.dl_received_time_stamp()),
        ("ul_sent", container.ul_sending_time_stamp()),
    ];
    for (key, stamp) in stamps {
        if let Some(stamp) = stamp {
            json.key(key).hex(stamp);
        }
    }
    json.number_if_any("dl_delay", container.dl_delay_result());
    json.number_if_any("ul_delay", container.ul_delay_result());
    json.number_if_any("n3_n9_delay", container.n3_n9_delay_result());
}

/// An information element by its type, with what it means where Weir reads it.
fn information_element(element: &Element<'_>, json: &mut Json<'_>) {
    json.key("type").number(element.kind);
    json.key("len").number(element.value.len());
    json.number_if_any("recovery", element.recovery());
    json.number_if_any("teid", element.teid().map(|teid| teid.0));
    if let Some(peer) = element.peer() {
        json.key("peer").address(IpAddr::from(peer));
    }
    if let Some(types) = element.extension_types() {
        json.key("extension_types").numbers(types.iter().copied());
    }
    json.number_if_any("tunnel_status", element.tunnel_status());
    json.number_if_any("recovery_time_stamp", element.recovery_time_stamp());
    json.number_if_any("enterprise", element.private_extension().map(|(enterprise, _)| enterprise));
}
