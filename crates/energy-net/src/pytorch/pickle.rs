//! What a pickle builds, as far as weights need it.

use super::Problem;
use super::global::Global;
use super::storage::{StorageReference, TensorView};
use super::unpickler::Unpickler;

/// A value's place in its [`Pickle`]. Values refer to each other by place, so that a value that is used many times, or
/// that holds itself, costs its place and nothing more.
pub(super) type Place = usize;

/// A Python object.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    /// Wide enough for the magic number of `torch.save`, which has 77 bits.
    Integer(i128),
    Text(&'a str),
    /// Floats and bytes, which may stand beside weights and are not looked at.
    Opaque,
    Tuple(Vec<Place>),
    List(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    Global(Global),
    Storage(StorageReference<'a>),
    Tensor(TensorView<'a>),
}

/// The objects of a pickle, and which of them is the result.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Place,
    /// How many more values or copied entries it may have.
    room: usize,
}

/// A state dict has some thirty values for each tensor; this bounds the memory that a file made for harm can take.
const MOST_VALUES: usize = 1 << 20;

/// Weights have at most four axes. A shape can be used again for a few bytes of the file, so it must not be long.
const MOST_AXES: usize = 8;

impl<'a> Pickle<'a> {
    /// The pickle at the start of `bytes`, and the bytes after it.
    ///
    /// # Errors
    /// [`Problem::Damaged`] and [`Problem::Global`].
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Problem> {
        Unpickler::new(bytes).run()
    }

    pub(super) fn empty() -> Self {
        Self {
            values: Vec::new(),
            root: 0,
            room: MOST_VALUES,
        }
    }

    pub(super) fn add(&mut self, value: Value<'a>) -> Result<Place, Problem> {
        self.take_room(1)?;
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    /// Counts the values that are about to be added or copied.
    pub(super) fn take_room(&mut self, count: usize) -> Result<(), Problem> {
        let reason = || Problem::Damaged(format!("its pickle has more than {MOST_VALUES} objects"));
        self.room = self.room.checked_sub(count).ok_or_else(reason)?;
        Ok(())
    }

    pub(super) fn set_root(&mut self, place: Place) {
        self.root = place;
    }

    pub(super) fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    pub(super) fn get(&self, place: Place) -> &Value<'a> {
        &self.values[place]
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut Value<'a> {
        &mut self.values[place]
    }

    /// All storages that are referred to.
    pub(super) fn storages(&self) -> impl Iterator<Item = StorageReference<'a>> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(*storage),
            _ => None,
        })
    }

    pub(super) fn text(&self, place: Place) -> Option<&'a str> {
        match self.get(place) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A count, an offset, a side or a stride.
    pub(super) fn size(&self, place: Place) -> Option<usize> {
        match self.get(place) {
            Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A tuple or list of counts, sides or strides.
    pub(super) fn sizes(&self, place: Place) -> Option<Vec<usize>> {
        match self.get(place) {
            Value::Tuple(items) | Value::List(items) if items.len() <= MOST_AXES => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => None,
        }
    }
}
