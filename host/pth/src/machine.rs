//! Runs the instructions of a pickle that build data; no name in it is ever called. Knows nothing of files.
//!
//! Source: the instructions are those of Python's `pickletools`. Lists, dicts and the like lie in one list of nodes and are
//! named by their index, so that a value may be used many times, and nothing here recurses.

use std::collections::HashMap;
use std::rc::Rc;

use crate::Dtype;
use crate::error::Fault;
use crate::globals::{Global, look_up};

/// A value on the stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Global(Rc<Global>),
    Node(usize),
    /// Something that nobody looks into.
    Inert,
}

/// A value that holds others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    List(Vec<Item>),
    Tuple(Vec<Item>),
    Dict(Vec<(Item, Item)>),
    Storage(Rc<Storage>),
    Tensor(View),
}

/// Numbers that tensors look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Storage {
    pub(crate) key: String,
    pub(crate) dtype: Dtype,
}

/// A tensor as a part of a storage; all in numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) storage: Rc<Storage>,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// What a pickle has built.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Item,
    /// Bytes that it took.
    pub(crate) length: usize,
}

/// Runs one pickle at the beginning of `bytes`.
///
/// Errors: an instruction that is not known or cannot be carried out, a name that must not stand there.
pub(crate) fn run(bytes: &[u8]) -> Result<Built, Fault> {
    let mut machine = Machine { input: Input { bytes, at: 0 }, ..Machine::default() };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Built { nodes: machine.nodes, root, length: machine.input.at })
}

#[derive(Default)]
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| Fault::new("a pickle that is cut off"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(self.array::<1>()?[0]))
    }

    fn length32(&mut self) -> Result<usize, Fault> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length64(&mut self) -> Result<usize, Fault> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| Fault::new("a huge length"))
    }

    fn text(&mut self, length: usize) -> Result<Item, Fault> {
        let text = std::str::from_utf8(self.take(length)?);
        Ok(Item::Text(text.map_err(|_| Fault::new("text that is not UTF-8"))?.into()))
    }

    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or_else(|| Fault::new("a pickle that is cut off"))? + 1)?;
        std::str::from_utf8(&line[..line.len() - 1])
            .map_err(|_| Fault::new("a name that is not text"))
    }
}

#[derive(Default)]
struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Item>,
    marks: Vec<usize>,
    memo: HashMap<usize, Item>,
    nodes: Vec<Node>,
}

impl Machine<'_> {
    /// Carries out an instruction; false when it was the last one.
    fn step(&mut self) -> Result<bool, Fault> {
        let code = self.input.array::<1>()?[0];
        match code {
            0x80 => drop(self.input.byte()?),
            0x95 => drop(self.input.length64()?),
            b'.' => return Ok(false),
            b'N' => self.stack.push(Item::None),
            0x88 => self.stack.push(Item::Bool(true)),
            0x89 => self.stack.push(Item::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.input.array()?);
                self.stack.push(Item::Int(number.into()));
            }
            b'K' => {
                let number = self.input.byte()?;
                self.stack.push(Item::Int(number as i64));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.input.array()?);
                self.stack.push(Item::Int(number.into()));
            }
            0x8a => {
                let length = self.input.byte()?;
                let number = long(self.input.take(length)?);
                self.stack.push(number);
            }
            b'G' => {
                let number = f64::from_be_bytes(self.input.array()?);
                self.stack.push(Item::Float(number));
            }
            b'X' | 0x8c | 0x8d => {
                let length = self.length(code, (0x8c, 0x8d))?;
                let text = self.input.text(length)?;
                self.stack.push(text);
            }
            // Bytes, and the byte strings of Python 2, which are in old files as text.
            b'B' | b'C' | 0x8e | b'T' | b'U' => {
                let length = match code {
                    b'C' | b'U' => self.input.byte()?,
                    0x8e => self.input.length64()?,
                    _ => self.input.length32()?,
                };
                let bytes = self.input.take(length)?;
                let text = std::str::from_utf8(bytes).ok().filter(|_| matches!(code, b'T' | b'U'));
                self.stack.push(text.map_or(Item::Inert, |text| Item::Text(text.into())));
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?.clone();
                self.stack.push(top);
            }
            _ => self.step_with_nodes(code)?,
        }
        Ok(true)
    }

    fn step_with_nodes(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            b']' | 0x8f => self.push_node(Node::List(Vec::new())),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b')' => self.push_node(Node::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_mark()?;
                self.push_node(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let start =
                    self.stack.len().checked_sub(count).filter(|start| *start >= self.floor());
                let items = self.stack.split_off(start.ok_or_else(empty)?);
                self.push_node(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend_list(items)?;
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.push_node(Node::List(items));
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(items)?;
            }
            b'q' | b'r' | 0x94 => {
                let index = match code {
                    b'q' => self.input.byte()?,
                    b'r' => self.input.length32()?,
                    _ => self.memo.len(),
                };
                let top = self.top()?.clone();
                self.memo.insert(index, top);
            }
            b'h' | b'j' => {
                let index =
                    if code == b'h' { self.input.byte()? } else { self.input.length32()? };
                let item = self.memo.get(&index).cloned();
                self.stack.push(item.ok_or_else(|| Fault::new("a value that was never noted"))?);
            }
            _ => self.step_with_names(code)?,
        }
        Ok(())
    }

    fn step_with_names(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            b'c' => {
                let global = look_up(self.input.line()?, self.input.line()?)?;
                self.stack.push(Item::Global(Rc::new(global)));
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Item::Text(name), Item::Text(module)) => {
                    self.stack.push(Item::Global(Rc::new(look_up(&module, &name)?)));
                }
                _ => return Err(Fault::new("a name that is not text")),
            },
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let made = self.make(&function, &arguments)?;
                self.stack.push(made);
            }
            0x92 => {
                let (_, arguments, function) = (self.pop()?, self.pop()?, self.pop()?);
                let made = self.make(&function, &arguments)?;
                self.stack.push(made);
            }
            // The state of an object; an ordered dict's is `_metadata`, which no weights need.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(&id)?;
                self.push_node(Node::Storage(Rc::new(storage)));
            }
            other => {
                let found = format!("the instruction {other:#04x}, which no PyTorch file has");
                return Err(Fault::new(found));
            }
        }
        Ok(())
    }

    fn length(&mut self, code: u8, (short, long): (u8, u8)) -> Result<usize, Fault> {
        match code {
            code if code == short => self.input.byte(),
            code if code == long => self.input.length64(),
            _ => self.input.length32(),
        }
    }

    /// What a known name makes of its arguments.
    fn make(&mut self, function: &Item, arguments: &Item) -> Result<Item, Fault> {
        let Item::Global(global) = function else { return Ok(Item::Inert) };
        match **global {
            Global::OrderedDict => {
                self.push_node(Node::Dict(Vec::new()));
                self.pop()
            }
            Global::RebuildTensor => {
                let view = self.view(arguments);
                self.push_node(Node::Tensor(view.ok_or_else(|| Fault::new("a malformed tensor"))?));
                self.pop()
            }
            Global::RebuildParameter => {
                let data = self.tuple(arguments).and_then(<[Item]>::first).cloned();
                data.ok_or_else(|| Fault::new("a parameter without data"))
            }
            Global::Storage(_) | Global::Inert => Ok(Item::Inert),
        }
    }

    fn view(&self, arguments: &Item) -> Option<View> {
        let [Item::Node(storage), offset, shape, strides, ..] = self.tuple(arguments)? else {
            return None;
        };
        let Node::Storage(storage) = &self.nodes[*storage] else { return None };
        let numbers =
            |item: &Item| self.tuple(item)?.iter().map(size).collect::<Option<Vec<usize>>>();
        let (shape, strides) = (numbers(shape)?, numbers(strides)?);
        (shape.len() == strides.len()).then_some(())?;
        Some(View { storage: Rc::clone(storage), offset: size(offset)?, shape, strides })
    }

    /// `('storage', class, key, location, count)`.
    fn storage(&self, id: &Item) -> Result<Storage, Fault> {
        let malformed = || Fault::new("a reference to something else than a storage");
        match self.tuple(id).ok_or_else(malformed)? {
            [Item::Text(kind), Item::Global(class), Item::Text(key), ..]
                if &**kind == "storage" =>
            {
                match **class {
                    Global::Storage(dtype) => Ok(Storage { key: key.to_string(), dtype }),
                    _ => Err(malformed()),
                }
            }
            _ => Err(malformed()),
        }
    }

    fn tuple(&self, item: &Item) -> Option<&[Item]> {
        match item {
            Item::Node(index) => match &self.nodes[*index] {
                Node::Tuple(items) | Node::List(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    fn extend_list(&mut self, mut items: Vec<Item>) -> Result<(), Fault> {
        let Item::Node(index) = *self.top()? else { return Ok(()) };
        match &mut self.nodes[index] {
            Node::List(list) => list.append(&mut items),
            _ => return Err(Fault::new("items for something else than a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<Item>) -> Result<(), Fault> {
        let Item::Node(index) = *self.top()? else { return Ok(()) };
        let Node::Dict(dict) = &mut self.nodes[index] else {
            return Err(Fault::new("keys for something else than a dict"));
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.push((key, value));
        }
        Ok(())
    }

    fn push_node(&mut self, node: Node) {
        self.nodes.push(node);
        self.stack.push(Item::Node(self.nodes.len() - 1));
    }

    /// Where the values since the last mark begin.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<&Item, Fault> {
        self.stack[self.floor().min(self.stack.len())..].last().ok_or_else(empty)
    }

    fn pop(&mut self) -> Result<Item, Fault> {
        if self.stack.len() <= self.floor() {
            return Err(empty());
        }
        self.stack.pop().ok_or_else(empty)
    }

    fn pop_mark(&mut self) -> Result<Vec<Item>, Fault> {
        let mark = self.marks.pop().ok_or_else(empty)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }
}

fn empty() -> Fault {
    Fault::new("an instruction without a value to work on")
}

fn size(item: &Item) -> Option<usize> {
    match item {
        Item::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// A whole number of any length; one that does not fit is nothing that weights need.
fn long(bytes: &[u8]) -> Item {
    if bytes.len() > 8 {
        return Item::Inert;
    }
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut filled = [if is_negative { 0xff } else { 0 }; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    Item::Int(i64::from_le_bytes(filled))
}
