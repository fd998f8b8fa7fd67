//! Names of backends and their devices.

use std::fmt;
use std::str::FromStr;

use ebm_experiment::EngineChoice;

use crate::error::DriverError;

/// A backend with its device by name, whether or not this build and machine have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BackendName {
    /// burn-flex on the CPU, the default.
    #[default]
    Flex,
    /// burn-ndarray on the CPU, for comparison.
    Ndarray,
    /// CUDA on the NVIDIA GPU of this index.
    Cuda(u16),
    /// wgpu with the graphics API of the system.
    Wgpu(Adapter),
    /// wgpu with Vulkan and nothing else.
    Vulkan(Adapter),
}

/// A device of wgpu.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Adapter {
    /// The one that wgpu holds for the fastest.
    #[default]
    Fastest,
    /// The discrete GPU of this index.
    Discrete(u16),
    /// The integrated GPU of this index.
    Integrated(u16),
    /// A driver that computes on the CPU.
    Cpu,
}

impl BackendName {
    /// Every backend there is a name for, on its first device. Vulkan is wgpu on most systems.
    pub(crate) const ALL: [Self; 4] = [
        Self::Flex,
        Self::Ndarray,
        Self::Cuda(0),
        Self::Wgpu(Adapter::Fastest),
    ];

    /// Whether it runs GPU kernels, be it with a driver that computes on the CPU.
    pub(crate) fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::Wgpu(_) | Self::Vulkan(_))
    }

    /// The feature of this program with which it is built.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Cuda(_) => "cuda",
            Self::Wgpu(_) | Self::Vulkan(_) => "wgpu",
        }
    }

    /// Refuses an engine that the backend cannot have, whatever the net.
    ///
    /// # Errors
    /// [`DriverError::Usage`].
    pub(crate) fn check_engine(self, choice: EngineChoice) -> Result<(), DriverError> {
        if choice.runs_on(self.is_gpu()) {
            return Ok(());
        }
        let place = match choice {
            EngineChoice::Cube => "a GPU with --backend cuda or wgpu",
            EngineChoice::CubeTf32 | EngineChoice::CubeBf16 => "a GPU with --backend cuda",
            _ => "the CPU with --backend flex",
        };
        Err(DriverError::Usage(format!(
            "--engine {} runs on {place}; leave it out for --backend {self}",
            choice.name()
        )))
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => formatter.write_str("flex"),
            Self::Ndarray => formatter.write_str("ndarray"),
            Self::Cuda(0) => formatter.write_str("cuda"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
            Self::Wgpu(adapter) => write!(formatter, "wgpu{adapter}"),
            Self::Vulkan(adapter) => write!(formatter, "vulkan{adapter}"),
        }
    }
}

/// What follows the name of the backend.
impl fmt::Display for Adapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fastest => Ok(()),
            Self::Discrete(index) => write!(formatter, ":{index}"),
            Self::Integrated(0) => formatter.write_str(":integrated"),
            Self::Integrated(index) => write!(formatter, ":integrated-{index}"),
            Self::Cpu => formatter.write_str(":cpu"),
        }
    }
}

impl FromStr for BackendName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, device) = match text.split_once(':') {
            Some((name, device)) => (name, Some(device)),
            None => (text, None),
        };
        let found = match (name, device) {
            ("flex", None) => Some(Self::Flex),
            ("ndarray", None) => Some(Self::Ndarray),
            ("cuda", None) => Some(Self::Cuda(0)),
            ("cuda", Some(index)) => parse_index(index).map(Self::Cuda),
            ("wgpu", device) => Adapter::parse(device).map(Self::Wgpu),
            ("vulkan", device) => Adapter::parse(device).map(Self::Vulkan),
            _ => None,
        };
        found.ok_or_else(|| {
            "there are flex, ndarray, cuda, wgpu and vulkan; cuda:1 is the second NVIDIA GPU, wgpu:0 the first discrete \
             GPU, wgpu:integrated one in the processor, wgpu:cpu a software driver, and the same after vulkan"
                .to_owned()
        })
    }
}

impl Adapter {
    fn parse(device: Option<&str>) -> Option<Self> {
        match device {
            None => Some(Self::Fastest),
            Some("cpu") => Some(Self::Cpu),
            Some("integrated") => Some(Self::Integrated(0)),
            Some(device) => match device.strip_prefix("integrated-") {
                Some(index) => parse_index(index).map(Self::Integrated),
                None => parse_index(device).map(Self::Discrete),
            },
        }
    }
}

/// CubeCL counts devices in 16 bits; a larger index would wrap around to another device.
fn parse_index(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn adapters() -> impl Strategy<Value = Adapter> {
        prop_oneof![
            Just(Adapter::Fastest),
            any::<u16>().prop_map(Adapter::Discrete),
            any::<u16>().prop_map(Adapter::Integrated),
            Just(Adapter::Cpu),
        ]
    }

    fn names() -> impl Strategy<Value = BackendName> {
        prop_oneof![
            Just(BackendName::Flex),
            Just(BackendName::Ndarray),
            any::<u16>().prop_map(BackendName::Cuda),
            adapters().prop_map(BackendName::Wgpu),
            adapters().prop_map(BackendName::Vulkan),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(name in names()) {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn what_is_read_is_printed_the_same(text in "(cuda|wgpu|vulkan):(integrated-)?[0-9]{1,6}|[a-z:0-9-]{0,12}") {
            if let Ok(name) = text.parse::<BackendName>() {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }

    #[test]
    fn names_and_what_they_mean() {
        let cases = [
            ("flex", BackendName::Flex),
            ("ndarray", BackendName::Ndarray),
            ("cuda", BackendName::Cuda(0)),
            ("cuda:1", BackendName::Cuda(1)),
            ("wgpu", BackendName::Wgpu(Adapter::Fastest)),
            ("wgpu:0", BackendName::Wgpu(Adapter::Discrete(0))),
            ("wgpu:integrated", BackendName::Wgpu(Adapter::Integrated(0))),
            (
                "wgpu:integrated-1",
                BackendName::Wgpu(Adapter::Integrated(1)),
            ),
            ("wgpu:cpu", BackendName::Wgpu(Adapter::Cpu)),
            ("vulkan", BackendName::Vulkan(Adapter::Fastest)),
            (
                "vulkan:65535",
                BackendName::Vulkan(Adapter::Discrete(65535)),
            ),
            ("vulkan:cpu", BackendName::Vulkan(Adapter::Cpu)),
        ];
        for (text, name) in cases {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("cuda:0".parse(), Ok(BackendName::Cuda(0)));
    }

    #[test]
    fn what_is_no_name() {
        for text in [
            "",
            "cpu",
            "Flex",
            "flex:",
            "flex:0",
            "ndarray:cpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:65536",
            "cuda:cpu",
            "wgpu:",
            "wgpu:gpu",
            "wgpu:0:1",
            "wgpu:integrated-",
            "vulkan:65536",
            "auto",
        ] {
            let message = text.parse::<BackendName>().unwrap_err();
            assert!(message.contains("there are flex, ndarray"), "{text}");
        }
    }

    #[test]
    fn engines_and_backends_that_go_together() {
        use EngineChoice::{Auto, Cube, CubeBf16, CubeTf32, Fused, FusedBf16, Tensor};
        for name in ["flex", "ndarray", "cuda:1", "wgpu", "vulkan:cpu"] {
            let name: BackendName = name.parse().unwrap();
            for choice in EngineChoice::ALL {
                let is_wrong = match choice {
                    Fused | FusedBf16 => name.is_gpu(),
                    Cube | CubeTf32 | CubeBf16 => !name.is_gpu(),
                    Auto | Tensor => false,
                };
                assert_eq!(name.check_engine(choice).is_err(), is_wrong, "{name}");
            }
        }
    }
}
