//! A sealed slab: what reaches the system allocator is served, counted, or the end.

use stingy_alloc::{Backing, MemoryMap, Options, Reason, Seal, SiteId, Slab, StageId};

use crate::process::{alone, signal, text};
use crate::small;

fn sealed(seal: Seal) -> Slab {
    let builder = MemoryMap::builder().geometry(small()).site("reply.body", 1000, 4);
    let map = builder.stage("stage", &[], &[("reply.body", 1)]).build().unwrap();
    let geometry = Some(small());
    Slab::new(&map, Options { geometry, backing: Backing::Pages, seal, ..Options::default() })
        .unwrap()
}

const SITE: SiteId = SiteId(0);
/// More than the high slab has.
const HUGE: usize = 1 << 20;

#[test]
fn an_open_slab_serves_and_counts_only_the_reason() {
    let slab = sealed(Seal::Open);
    assert!(!slab.oversize(SITE, HUGE).is_slab());
    let stats = slab.stats();
    assert_eq!((stats.fallback(Reason::SizeGuard), stats.fallback(Reason::Sealed)), (1, 0));
}

#[test]
fn an_escape_goes_to_the_high_slab_until_that_is_full() {
    let slab = sealed(Seal::Count);
    let escaped: Vec<_> = std::iter::repeat_with(|| slab.escape(SITE)).take(2000).collect();
    let high = escaped.iter().take_while(|slot| slot.is_slab()).count();
    assert!((300..2000).contains(&high), "{high} objects");
    assert!(escaped[high..].iter().all(|slot| !slot.is_slab()), "it is full for good");
    let stats = slab.stats();
    assert_eq!(stats.fallback(Reason::Escape), 2000);
    assert_eq!((stats.high as usize, stats.fallback(Reason::Sealed)), (high, 2000 - high as u64));
    drop(escaped);
    assert!(slab.escape(SITE).is_slab() && slab.live() == 0);
}

#[test]
fn a_seal_set_later_counts_from_then_on() {
    let slab = sealed(Seal::Open);
    drop(slab.oversize(SITE, HUGE));
    slab.seal(Seal::Count);
    drop((slab.oversize(SITE, HUGE), slab.oversize(SITE, 2000)));
    let permit = slab.admit(StageId(0), 1);
    drop((permit.alloc_len(SITE, HUGE).unwrap(), permit.alloc_len(SITE, 1000).unwrap()));
    assert_eq!(slab.stats().fallback(Reason::Sealed), 2);
    slab.seal(Seal::Open);
    drop(slab.oversize(SITE, HUGE));
    assert_eq!(slab.stats().fallback(Reason::Sealed), 2);
}

#[test]
fn an_abort_names_the_site_and_the_bytes() {
    let output = alone(|| {
        let slab = sealed(Seal::Abort);
        assert!(slab.oversize(SITE, 2000).is_slab(), "the high slab is no system call");
        drop(slab.oversize(SITE, HUGE));
    });
    assert_eq!(signal(&output), Some(libc::SIGABRT));
    let said = text(&output.stderr);
    assert!(said.contains("`reply.body`") && said.contains("1048576 bytes"), "{said}");
}
