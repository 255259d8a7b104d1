//! How an encoder is made and set: what the families say, in the form in which it reaches an element.

/// A property of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// The first of these that the element knows is set: versions differ in the names of their presets.
    pub values: Vec<String>,
    /// Whether the encoder is of no use without it. Some properties are there only where the GPU can do it.
    pub needed: bool,
}

/// How an encoder is made and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The element.
    pub element: &'static str,
    /// Its properties, to be set in this order.
    pub properties: Vec<Property>,
    /// The H.264 profiles that are asked of the element with the caps of its output, where it chooses by them.
    pub profiles: &'static [&'static str],
    /// Whether it must be told a frame rate, also where the distances of frames vary.
    pub needs_rate: bool,
    /// Whether frames may come out in another order than they are shown in.
    pub reorders: bool,
}

/// A property that the encoder is of no use without.
pub fn needed(name: &'static str, value: impl ToString) -> Property {
    Property { name, values: vec![value.to_string()], needed: true }
}

/// A property that is set where there is one.
pub fn optional(name: &'static str, value: impl ToString) -> Property {
    Property { needed: false, ..needed(name, value) }
}

/// The first of these values that the element knows.
pub fn one_of(name: &'static str, values: &[&str]) -> Property {
    Property { name, values: values.iter().map(ToString::to_string).collect(), needed: true }
}
