//! A site whose objects have a type, looked up once by name.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use crate::layout::LINE;
use crate::map::{MemoryMap, SiteId};
use crate::unit::Unit;

/// A site of one slab, for objects of type `T`. [`Slab::site`](crate::Slab::site) makes it.
///
/// It does not outlive its slab, whose place another one may take:
///
/// ```compile_fail
/// # use stingy_alloc::{GlobalKind, MemoryMap, Options, Slab, StageId};
/// # let builder = MemoryMap::builder().global(64, GlobalKind::Final).site("request", 64, 8);
/// # let map = builder.stage("parse", &[], &[("request", 1)]).build().unwrap();
/// let slab = Slab::new(&map, Options::default()).unwrap();
/// let site = slab.site::<u64>("request").unwrap();
/// drop(slab);
/// let id = site.id();
/// ```
///
/// # Invariants
/// 1. Slots of the site in this unit are large and aligned enough for a `T`.
pub struct Site<'s, T> {
    id: SiteId,
    unit: Unit,
    slab: PhantomData<&'s ()>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Site<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Site<'_, T> {}

impl<T> fmt::Debug for Site<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({} of {})", self.id.0, type_name::<T>())
    }
}

/// Why a site is not one for this type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The map has no site of that name.
    #[error("the map has no site `{0}`; add it with `scg stingygen`, or by hand")]
    Unknown(String),
    /// The type does not fit into an object.
    #[error(
        "site `{site}` has objects of {size} bytes, and the type {wanted}; write size={wanted} in the map"
    )]
    Size {
        /// The name of the site.
        site: String,
        /// Bytes of its objects.
        size: usize,
        /// Bytes of the type.
        wanted: usize,
    },
    /// Objects are not aligned as the type is.
    #[error(
        "site `{site}` is aligned to {align} bytes, and the type to {wanted}; write align={wanted} in the map"
    )]
    Align {
        /// The name of the site.
        site: String,
        /// Alignment of its objects.
        align: usize,
        /// Alignment of the type.
        wanted: usize,
    },
}

impl<'s, T> Site<'s, T> {
    pub(crate) fn new(map: &MemoryMap, unit: Unit, name: &str) -> Result<Self, SiteError> {
        let site = name.to_owned();
        let Some(spec) = map.sites().iter().find(|spec| spec.name == name) else {
            return Err(SiteError::Unknown(site));
        };
        let (size, wanted) = (spec.size, size_of::<T>());
        if wanted > size {
            return Err(SiteError::Size { site, size, wanted });
        }
        // Every slot starts on a line, whatever the map asks for.
        let (align, wanted) = (spec.align.max(LINE), align_of::<T>());
        if wanted > align {
            return Err(SiteError::Align { site, align, wanted });
        }
        Ok(Self { id: spec.id, unit, slab: PhantomData, of: PhantomData })
    }

    /// Its number in the map.
    #[inline]
    pub fn id(self) -> SiteId {
        self.id
    }

    #[inline]
    pub(crate) fn unit(self) -> Unit {
        self.unit
    }
}
