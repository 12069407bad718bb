//! The format of the input, and the marks that the passes leave on it.

use std::collections::BTreeMap;

use super::fault::Step;

/// The format that the input came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Settings and entries: numbers are numbers.
    Toml,
    /// Request bodies: whole numbers may be decimal strings, and unions have the tag `type`.
    Json,
}

/// Marks on the input: a tree of the same shape.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) left_out: bool,
    /// Missing members that get a stand-in.
    pub(super) stand_ins: Vec<&'static str>,
    pub(super) below: BTreeMap<String, Marks>,
    pub(super) items: BTreeMap<usize, Marks>,
}

impl Marks {
    fn at(&mut self, path: &[Step]) -> &mut Self {
        path.iter().fold(self, |marks, step| match step {
            Step::Field(name) => marks.below.entry((*name).to_owned()).or_default(),
            Step::Key(name) => marks.below.entry(name.clone()).or_default(),
            Step::Index(index) => marks.items.entry(*index).or_default(),
            Step::Tag(_) => marks,
        })
    }

    /// Marks what is at the path as faulty; `None` if that changes nothing.
    pub(super) fn leave_out(&mut self, path: &[Step]) -> Option<()> {
        path.iter().any(|step| !matches!(step, Step::Tag(_))).then_some(())?;
        let marks = self.at(path);
        (!std::mem::replace(&mut marks.left_out, true)).then_some(())
    }

    /// Gives the missing member at the path a stand-in; `None` if it has one.
    pub(super) fn stand_in(&mut self, path: &[Step]) -> Option<()> {
        let (Step::Field(name), above) = path.split_last()? else { return None };
        let stand_ins = &mut self.at(above).stand_ins;
        (!stand_ins.contains(name)).then(|| stand_ins.push(name))
    }

    /// Returns the path of the table in which a stand-in is on the way to `path`.
    pub(super) fn above_stand_in<'p>(&mut self, path: &'p [Step]) -> Option<&'p [Step]> {
        (1..=path.len()).find_map(|length| match path[..length].split_last() {
            Some((Step::Field(name), above)) => self.at(above).stand_ins.contains(name).then_some(above),
            _ => None,
        })
    }
}
