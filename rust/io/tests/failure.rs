//! When the engine itself fails.

mod support;

use keepvip_io::{CommandError, RecordKind};
use keepvip_proto::vrrp::report::State;
use support::frame::advert;
use support::tap::Tap;
use support::{Node, pair, router};

#[test]
fn a_panic_withdraws_everything_and_is_told() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut node = Node::running(&a, [router("left", 1, 200), router("left", 2, 200)], true);
    node.wait_states(&[0, 1], State::Master);
    let tap = Tap::open(&b, "right");
    node.engine.crash().unwrap();
    node.wait("the failure", |record| (record.kind == RecordKind::Fatal).then_some(()));
    for vrid in [1, 2] {
        tap.wait("priority 0", |frame| {
            advert(frame).filter(|seen| seen.priority == 0 && seen.vrid == vrid)
        });
    }
    let message = node.engine.join().unwrap_err();
    assert!(message.contains("asked to crash"), "{message}");
    assert!(!a.ask("-o addr show dev left").contains("10.10."));
    assert!(node.engine.status().ended);
    assert_eq!(node.engine.stop(true), Err(CommandError::Ended));
}

#[test]
fn an_engine_that_is_dropped_releases_its_addresses() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut node = Node::running(&a, [router("left", 1, 200)], false);
    node.wait_state(0, State::Master);
    assert!(a.ask("-o addr show dev left").contains("10.10.1.1"));
    drop(node);
    assert!(!a.ask("-o addr show dev left").contains("10.10."));
}
