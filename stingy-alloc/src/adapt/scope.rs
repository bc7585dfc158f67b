//! Which permit do the allocations of this thread come from? The one whose scope it is in.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr;
use std::ptr::NonNull;

use crate::fallback::Reason;
use crate::home::Home;
use crate::layout::LINE;
use crate::map::SiteId;
use crate::permit::Permit;
use crate::stage::Need;

thread_local! {
    /// The permit of the innermost scope, null outside. Without a destructor, as it is read by every
    /// allocation of the thread, to its very end.
    static CURRENT: Cell<*const Permit<'static>> = const { Cell::new(ptr::null()) };
}

/// Puts the permit of the scope around back when it is dropped, also by a panic.
struct Around(*const Permit<'static>);

impl Drop for Around {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.0));
    }
}

impl Permit<'_> {
    /// Runs `work`, whose allocations through [`Global`](crate::adapt::Global) come from this permit: each
    /// takes an object of the smallest site of the stage that it fits into and that has one left. What
    /// fits into none goes to the fallback allocator, and is counted: as `size_guard` or `align` if no
    /// site is large or aligned enough, as `no_permit` if those that are have none left.
    ///
    /// Scopes nest; the inner one counts. Objects may be freed anywhere. What is made in a scope and kept for
    /// good, such as the first use of a `LazyLock`, keeps its object for good: wrap that in
    /// [`adapt::outside`](crate::adapt::outside).
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        let current = ptr::from_ref(self).cast();
        let _around = Around(CURRENT.with(|scope| scope.replace(current)));
        work()
    }

    /// Memory of that layout, by the smallest site of the stage that it fits into. Not in line, so that
    /// what is in line at every allocation of a program is short.
    #[inline(never)]
    fn alloc_layout(&self, layout: Layout) -> Option<NonNull<u8>> {
        let smallest = self.table().by_size(0);
        match layout.align() <= LINE {
            true => self.alloc_at(smallest, layout.size()).or_else(|| self.alloc_larger(layout)),
            false => self.alloc_larger(layout),
        }
    }

    /// The same, by the other sites.
    #[inline(never)]
    fn alloc_larger(&self, layout: Layout) -> Option<NonNull<u8>> {
        let sites = if layout.align() <= LINE { self.table().needs().len() } else { 0 };
        let mut larger = (1..sites).map(|nth| self.table().by_size(nth));
        let object = larger.find_map(|at| self.alloc_at(at, layout.size()));
        if object.is_none() {
            self.falls_back(layout);
        }
        object
    }

    /// Counts why none of the stage's sites served this layout.
    #[cold]
    fn falls_back(&self, layout: Layout) {
        let sites = self.table().needs().iter().map(|need| self.home().site(need).size.get());
        self.count_fallback(None, sites.max().unwrap_or(0), layout);
    }

    /// Counts why `site` did not serve this layout.
    #[cold]
    pub(super) fn falls_back_at(&self, site: SiteId, layout: Layout) {
        let of_site = |need: &&Need| need.site() == site.0;
        let need = self.table().needs().iter().find(of_site);
        let size = need.map_or(u32::MAX, |need| self.home().site(need).size.get());
        self.count_fallback(Some(site), size, layout);
    }

    fn count_fallback(&self, site: Option<SiteId>, largest: u32, layout: Layout) {
        let reason = match layout.size() <= largest as usize {
            _ if layout.align() > LINE => Reason::Align,
            true => Reason::NoPermit,
            false => Reason::SizeGuard,
        };
        self.home().fallbacks.count(reason);
        self.home().unseal(reason, site, layout.size());
    }
}

/// Memory of that layout from the permit of the innermost scope; `None` if there is no scope, or nothing
/// that fits.
#[inline]
pub(super) fn alloc(layout: Layout) -> Option<NonNull<u8>> {
    let current = CURRENT.with(Cell::get);
    // SAFETY: set by `scope`, which borrows the permit until the scope ends, on this thread.
    let permit = unsafe { current.as_ref() }?;
    permit.alloc_layout(layout)
}

/// Runs `work` as if it were in no [`Permit::scope`]: what it allocates comes from the fallback allocator.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    let _around = Around(CURRENT.with(|scope| scope.replace(ptr::null())));
    work()
}

/// Leaves the scopes of this thread if the innermost is of a permit of `home`.
pub(crate) fn leave(home: &Home) {
    CURRENT.with(|current| {
        // SAFETY: as in `alloc`.
        let permit = unsafe { current.get().as_ref() };
        if permit.is_some_and(|permit| ptr::eq(permit.home(), home)) {
            current.set(ptr::null());
        }
    });
}
