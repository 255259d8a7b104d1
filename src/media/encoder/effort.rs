//! What presets mean to encoders that have fewer of them than x264: those of devices, and the one that stands for a device.

use actors::domain::job::Preset;

/// B-frames between two others, where they are used.
const B_FRAMES: u32 = 2;

/// How much work a preset stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As fast as it goes.
    Little,
    /// The usual.
    Medium,
    /// As good as it gets.
    Much,
}

impl Effort {
    /// Of a preset.
    pub const fn of(preset: Preset) -> Self {
        match preset {
            Preset::Ultrafast | Preset::Superfast | Preset::Veryfast => Self::Little,
            Preset::Faster | Preset::Fast | Preset::Medium => Self::Medium,
            Preset::Slow | Preset::Slower | Preset::Veryslow => Self::Much,
        }
    }

    /// Fast presets do without B-frames, as x264's fastest does.
    pub const fn b_frames(self) -> u32 {
        match self {
            Self::Little => 0,
            Self::Medium | Self::Much => B_FRAMES,
        }
    }
}
