//! Every decoder of the wire protocol on any bytes: no panic, no allocation beyond the packet, and
//! what is accepted is written back as it was.

#![no_main]

use bytes::Bytes;
use lattice_wire::{
    AgentHello, AgentStats, ClientPacket, FrameTable, FromAgent, ServerPacket, ToAgent,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let bytes = Bytes::copy_from_slice(packet);
    if let Ok(read) = ClientPacket::decode(packet) {
        assert_eq!(read.encode(), packet);
    }
    if let Ok(read) = ServerPacket::decode(&bytes) {
        assert_eq!(read.encode(), packet);
        if let ServerPacket::Frame(frame) = read {
            let table = FrameTable::decode(packet).expect("a frame has a table");
            assert_eq!(table.steps.len(), frame.ops.len());
        }
    }
    if let Ok(read) = ToAgent::decode(packet) {
        // `Refresh(Whole)` aside every packet has one form; all of them mean the same again.
        assert_eq!(ToAgent::decode(&read.encode()), Ok(read));
    }
    match FromAgent::decode(&bytes) {
        Ok(FromAgent::Hello(AgentHello { name, .. })) => assert!(name.len() <= packet.len()),
        Ok(FromAgent::Stats(stats)) => assert_eq!(AgentStats::encode(&stats), packet),
        Ok(_) | Err(_) => {}
    }
});
