//! What a classifier says of images.

/// Features and probabilities.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The last hidden layer after its ReLU, `[images, 64]`.
    pub features: Vec<f32>,
    /// Probabilities of the classes, `[images, classes]`.
    pub probabilities: Vec<f32>,
    /// How many classes there are; 0 if there was no image.
    pub classes: usize,
}

impl Reading {
    /// The most probable class of each image; the first of equals.
    pub fn most_probable(&self) -> impl Iterator<Item = usize> {
        self.probabilities.chunks(self.classes.max(1)).map(|row| {
            (1..row.len()).fold(
                0,
                |best, class| if row[class] > row[best] { class } else { best },
            )
        })
    }
}
