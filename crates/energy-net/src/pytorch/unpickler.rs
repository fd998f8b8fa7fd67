//! The stack machine of Python's pickles, protocols 2 to 5, as far as weights need it.

use std::collections::HashMap;

use super::Problem;
use super::global::Global;
use super::pickle::{Pickle, Place, Value};
use super::storage::{StorageReference, TensorView};

/// A pickle on its way from bytes to objects.
pub(super) struct Unpickler<'a> {
    bytes: &'a [u8],
    position: usize,
    pickle: Pickle<'a>,
    stack: Vec<Place>,
    /// Heights of the stack at the marks that are still open.
    marks: Vec<usize>,
    memo: HashMap<usize, Place>,
}

impl<'a> Unpickler<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            pickle: Pickle::empty(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs to the end of the pickle; returns its objects and the bytes after it.
    pub(super) fn run(mut self) -> Result<(Pickle<'a>, &'a [u8]), Problem> {
        loop {
            let start = self.position;
            let [opcode] = self.take_array()?;
            if opcode == b'.' {
                let root = self.pop()?;
                self.pickle.set_root(root);
                return Ok((self.pickle, &self.bytes[self.position..]));
            }
            self.step(opcode, start)?;
        }
    }

    /// Opcodes by the names that Python's `pickletools` gives them.
    fn step(&mut self, opcode: u8, start: usize) -> Result<(), Problem> {
        match opcode {
            // PROTO, FRAME
            0x80 => match self.take_array()? {
                [2..=5] => Ok(()),
                [version] => Err(Problem::Damaged(format!("pickle protocol {version}"))),
            },
            0x95 => self.take(8).map(drop),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            // BININT1, BININT2, BININT, LONG1
            b'K' => {
                let number = u8::from_le_bytes(self.take_array()?);
                self.push(Value::Integer(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.take_array()?);
                self.push(Value::Integer(number.into()))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.take_array()?);
                self.push(Value::Integer(number.into()))
            }
            0x8a => self.long(),
            // BINFLOAT; SHORT_BINBYTES, BINBYTES
            b'G' => {
                self.take(8)?;
                self.push(Value::Opaque)
            }
            b'C' | b'B' => {
                self.counted(opcode == b'C')?;
                self.push(Value::Opaque)
            }
            // SHORT_BINUNICODE, BINUNICODE; SHORT_BINSTRING, BINSTRING (the text of Python 2)
            0x8c | b'U' => self.text(true),
            b'X' | b'T' => self.text(false),
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let mut items = (0..count)
                    .map(|_| self.pop())
                    .collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Value::Tuple(items))
            }
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let [value, key] = [self.pop()?, self.pop()?];
                self.set_items(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }
            // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' | b'r' => {
                let number = self.count(opcode == b'q')?;
                self.remember(number)
            }
            0x94 => self.remember(self.memo.len()),
            b'h' | b'j' => {
                let number = self.count(opcode == b'h')?;
                let place = self.memo.get(&number).copied();
                self.stack.push(place.ok_or_else(|| {
                    Problem::Damaged(format!(
                        "its pickle refers to object {number} before it is made"
                    ))
                })?);
                Ok(())
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let [module, name] = [self.line()?, self.line()?];
                self.push(Value::Global(Global::named(module, name)?))
            }
            0x93 => {
                let [name, module] = [self.pop()?, self.pop()?];
                match (self.pickle.text(module), self.pickle.text(name)) {
                    (Some(module), Some(name)) => {
                        self.push(Value::Global(Global::named(module, name)?))
                    }
                    _ => Err(self.misfit("a name that is no text")),
                }
            }
            // BINPERSID, REDUCE, BUILD
            b'Q' => self.storage(),
            b'R' => self.call(),
            b'b' => {
                // Attributes of a dictionary, such as the version numbers in a state dict's `_metadata`.
                self.pop()?;
                match self.pickle.get(self.top()?) {
                    Value::Dict(_) => Ok(()),
                    _ => Err(self.misfit("attributes of something that is no dictionary")),
                }
            }
            _ => Err(Problem::Damaged(format!(
                "its pickle has the instruction {opcode:#04x} at byte {start}, which a file of weights does not need"
            ))),
        }
    }

    /// A storage: its place in the file as ("storage", type, key, device, count), in older files with a sixth entry
    /// that is always None.
    fn storage(&mut self) -> Result<(), Problem> {
        let place = self.pop()?;
        let storage = match self.pickle.get(place) {
            Value::Tuple(items) => match items[..] {
                [tag, kind, key, _, count] => Some((tag, kind, key, count)),
                [tag, kind, key, _, count, view] => {
                    matches!(self.pickle.get(view), Value::None).then_some((tag, kind, key, count))
                }
                _ => None,
            },
            _ => None,
        };
        let reference = storage.and_then(|(tag, kind, key, count)| {
            let Value::Global(Global::Storage(kind)) = *self.pickle.get(kind) else {
                return None;
            };
            (self.pickle.text(tag) == Some("storage")).then_some(())?;
            Some(StorageReference {
                key: self.pickle.text(key)?,
                kind,
                count: self.pickle.size(count)?,
            })
        });
        let reference = reference.ok_or_else(|| self.misfit("a storage of unknown form"))?;
        self.push(Value::Storage(reference))
    }

    /// A call of one of the known functions; none of them needs to run to know what it would return.
    fn call(&mut self) -> Result<(), Problem> {
        let [arguments, function] = [self.pop()?, self.pop()?];
        let (Value::Global(function), Value::Tuple(arguments)) =
            (self.pickle.get(function), self.pickle.get(arguments))
        else {
            return Err(self.misfit("a call of something that is no function"));
        };
        match (function, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Global::OrderedDict, &[items]) => {
                let items = self.pairs(items);
                let items = items.ok_or_else(|| self.misfit("an OrderedDict of unknown form"))?;
                self.pickle.take_room(items.len())?;
                self.push(Value::Dict(items))
            }
            (Global::Tensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides);
                let tensor = tensor.ok_or_else(|| self.misfit("a tensor of unknown form"))?;
                self.push(Value::Tensor(tensor))
            }
            (Global::Parameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                Ok(())
            }
            _ => Err(self.misfit("a call with unknown arguments")),
        }
    }

    /// The pairs of the list that Python 2 makes an `OrderedDict` of.
    fn pairs(&self, list: Place) -> Option<Vec<(Place, Place)>> {
        let Value::List(items) = self.pickle.get(list) else {
            return None;
        };
        let pair = |&item: &Place| match self.pickle.get(item) {
            Value::List(pair) | Value::Tuple(pair) => match pair[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        };
        items.iter().map(pair).collect()
    }

    fn tensor(
        &self,
        storage: Place,
        offset: Place,
        shape: Place,
        strides: Place,
    ) -> Option<TensorView<'a>> {
        let Value::Storage(storage) = *self.pickle.get(storage) else {
            return None;
        };
        let [shape, strides] = [self.pickle.sizes(shape)?, self.pickle.sizes(strides)?];
        let offset = self.pickle.size(offset)?;
        (shape.len() == strides.len()).then_some(TensorView {
            storage,
            offset,
            shape,
            strides,
        })
    }

    fn append(&mut self, items: Vec<Place>) -> Result<(), Problem> {
        let list = self.top()?;
        match self.pickle.get_mut(list) {
            Value::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.misfit("an item for something that is no list")),
        }
    }

    fn set_items(&mut self, items: &[Place]) -> Result<(), Problem> {
        let dict = self.top()?;
        match (self.pickle.get_mut(dict), items.as_chunks()) {
            (Value::Dict(entries), (pairs, [])) => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.misfit("entries for something that is no dictionary")),
        }
    }

    fn remember(&mut self, number: usize) -> Result<(), Problem> {
        let place = self.top()?;
        self.memo.insert(number, place);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Problem> {
        let place = self.pickle.add(value)?;
        self.stack.push(place);
        Ok(())
    }

    /// The top of the stack, above the innermost mark.
    fn top(&self) -> Result<Place, Problem> {
        let floor = self.marks.last().copied().unwrap_or_default();
        match self.stack.get(floor..).and_then(<[_]>::last) {
            Some(&place) => Ok(place),
            None => Err(self.misfit("fewer objects than it uses")),
        }
    }

    fn pop(&mut self) -> Result<Place, Problem> {
        let place = self.top()?;
        self.stack.pop();
        Ok(place)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Place>, Problem> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.misfit("the end of a group that has no start")),
        }
    }

    fn misfit(&self, what: &str) -> Problem {
        Problem::Damaged(format!(
            "its pickle has {what} before byte {}",
            self.position
        ))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let taken = self.bytes[self.position..].get(..count);
        let taken = taken.ok_or_else(|| Problem::damaged("its pickle ends too early"))?;
        self.position += count;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let ended = || Problem::damaged("its pickle ends too early");
        let array = self.bytes[self.position..]
            .first_chunk()
            .ok_or_else(ended)?;
        self.position += N;
        Ok(*array)
    }

    /// A length or number, in one byte or in four.
    fn count(&mut self, is_short: bool) -> Result<usize, Problem> {
        Ok(if is_short {
            u8::from_le_bytes(self.take_array()?).into()
        } else {
            u32::from_le_bytes(self.take_array()?) as usize
        })
    }

    fn counted(&mut self, is_short: bool) -> Result<&'a [u8], Problem> {
        let count = self.count(is_short)?;
        self.take(count)
    }

    fn text(&mut self, is_short: bool) -> Result<(), Problem> {
        let bytes = self.counted(is_short)?;
        self.push(Value::Text(utf8(bytes)?))
    }

    fn line(&mut self) -> Result<&'a str, Problem> {
        let rest = &self.bytes[self.position..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.unwrap_or(rest.len()))?;
        self.take(1)?;
        utf8(line)
    }

    /// A little-endian integer in two's complement, of as many bytes as the first one says.
    fn long(&mut self) -> Result<(), Problem> {
        let bytes = self.counted(true)?;
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut wide = [sign; 16];
        match wide.get_mut(..bytes.len()) {
            Some(low) => low.copy_from_slice(bytes),
            None => return Err(self.misfit("an integer of more than 128 bits")),
        }
        self.push(Value::Integer(i128::from_le_bytes(wide)))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes)
        .map_err(|_| Problem::damaged("its pickle has text that is not UTF-8"))
}
