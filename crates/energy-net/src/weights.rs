//! Writes and reads weights with PyTorch's names and layouts: safetensors files, and for reading also files of
//! `torch.save`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{checksum, device_tensor};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value};

use crate::pytorch::{self, Problem};
use crate::{NamedParameter, NetError, ParameterPath, fit, named_parameters};

/// The entry in the header of every file that is written here, by which damage is seen.
const CHECKSUM: &str = "ebm.crc32";

/// Writes the module's parameters so that PyTorch's `load_state_dict` takes them; `metadata` goes into the header.
/// The file appears whole or not at all.
///
/// # Errors
/// [`NetError::Io`] when the file cannot be written.
pub fn save_weights<B: Backend, M: Module<B>>(
    module: &M,
    path: &Path,
    metadata: HashMap<String, String>,
) -> Result<(), NetError> {
    write_tensors(&named_parameters(module), path, metadata)
}

/// The module with the parameters of a safetensors file or a file of `torch.save`, as [`read_tensors`] takes them. If
/// all names in the file begin with `module.`, as those of PyTorch's `DataParallel` do, and none of the module's
/// does, this prefix is dropped.
///
/// # Errors
/// [`NetError::OtherNet`] when names or shapes differ, [`NetError::NotFinite`] when a value is not finite, and those of
/// [`read_tensors`].
pub fn load_weights<B: Backend, M: Module<B>>(module: M, path: &Path) -> Result<M, NetError> {
    load_weight_bytes(module, &read(path)?, path)
}

/// As [`load_weights`], for the bytes of a file that is already in memory, such as a compiled-in one; errors name
/// `path`.
///
/// # Errors
/// Those of [`load_weights`] but [`NetError::Io`].
pub fn load_weight_bytes<B: Backend, M: Module<B>>(
    module: M,
    bytes: &[u8],
    path: &Path,
) -> Result<M, NetError> {
    let mut tensors = tensors_of(bytes, path)?;
    let expected = named_parameters(&module);
    strip_data_parallel(&mut tensors, &expected);
    let mut found: BTreeMap<_, _> = tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut differences = Vec::new();
    for parameter in &expected {
        match found.get(&parameter.name) {
            None => differences.push(format!("`{}` is missing", parameter.name)),
            Some(tensor) if tensor.shape != parameter.shape => differences.push(format!(
                "`{}` has shape {:?} where the net has {:?}",
                parameter.name, tensor.shape, parameter.shape
            )),
            Some(tensor) if !tensor.values.iter().all(|value| value.is_finite()) => {
                return Err(NetError::NotFinite {
                    path: path.to_owned(),
                    name: parameter.name.clone(),
                });
            }
            Some(_) => {}
        }
    }
    for name in found.keys() {
        if !expected.iter().any(|parameter| &parameter.name == name) {
            differences.push(format!("`{name}` is not in the net"));
        }
    }
    if !differences.is_empty() {
        let more = differences.len().saturating_sub(3);
        differences.truncate(3);
        let mut difference = differences.join(", ");
        if more > 0 {
            difference += &format!(" and {more} more differences");
        }
        return Err(NetError::OtherNet {
            path: path.to_owned(),
            difference,
            advice: advice(&found),
        });
    }
    Ok(module.map(&mut Loader {
        path: ParameterPath::default(),
        found: &mut found,
    }))
}

fn strip_data_parallel(tensors: &mut [NamedParameter], expected: &[NamedParameter]) {
    const PREFIX: &str = "module.";
    let is_wrapped = |tensor: &NamedParameter| tensor.name.starts_with(PREFIX);
    if tensors.iter().all(is_wrapped) && !expected.iter().any(is_wrapped) {
        for tensor in tensors {
            tensor.name.drain(..PREFIX.len());
        }
    }
}

/// Names the net to which the weights belong, if they do not fit.
fn advice(found: &BTreeMap<String, NamedParameter>) -> String {
    let shapes = found
        .iter()
        .map(|(name, tensor)| (name.as_str(), &tensor.shape[..]))
        .collect();
    match fit::fitting_net(&shapes) {
        Some((net, [channels, height, width])) => format!(
            "they fit net.architecture = {}, net.width = {} and states of {channels}×{height}×{width}",
            net.architecture.name(),
            net.width
        ),
        None => "use the net and state shape that the file was saved with".into(),
    }
}

struct Loader<'a> {
    path: ParameterPath,
    found: &'a mut BTreeMap<String, NamedParameter>,
}

impl<B: Backend> ModuleMapper<B> for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(parameter) = self.found.remove(&self.path.name()) else {
            return param;
        };
        let is_linear_weight = self.path.is_linear_weight();
        param.map(|tensor| {
            let loaded = device_tensor(parameter.values, parameter.shape, &tensor.device());
            let loaded = if is_linear_weight {
                loaded.transpose()
            } else {
                loaded
            };
            loaded.set_require_grad(tensor.is_require_grad())
        })
    }
}

/// Writes host tensors as a safetensors file, with a checksum in its header; it appears whole or not at all.
///
/// # Errors
/// [`NetError::Io`] when the file cannot be written.
pub fn write_tensors(
    tensors: &[NamedParameter],
    path: &Path,
    mut metadata: HashMap<String, String>,
) -> Result<(), NetError> {
    metadata.insert(CHECKSUM.into(), checksum::UNSEALED.into());
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|tensor| {
            let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes());
            (tensor.name.clone(), tensor.shape.clone(), bytes.collect())
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(|error| format_error(path, error))?;
    let mut file =
        safetensors::serialize(views, Some(metadata)).map_err(|error| format_error(path, error))?;
    sort_metadata(&mut file);
    checksum::seal(&mut file, CHECKSUM);
    ebm_core::write_atomically(path, &file).map_err(|source| NetError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Sorts the text entries in the header, which come in the order of a hash map, so that equal weights give equal
/// files. Bytes that are no header stay as they are.
fn sort_metadata(file: &mut [u8]) {
    let Some((length, rest)) = file.split_first_chunk_mut::<8>() else {
        return;
    };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(header) = rest.get_mut(..length) else {
        return;
    };
    let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(header) else {
        return;
    };
    if let Some(Value::Object(metadata)) = fields.get_mut("__metadata__") {
        metadata.sort_keys();
    }
    // The same text in another order: only the padding with spaces remains to be kept.
    if let Ok(mut sorted) = serde_json::to_vec(&fields)
        && sorted.len() <= length
    {
        sorted.resize(length, b' ');
        header.copy_from_slice(&sorted);
    }
}

/// The text entries in the header of a safetensors file, as given to [`save_weights`]; a file of `torch.save` has none.
///
/// # Errors
/// [`NetError::Io`]; [`NetError::Format`] for a damaged file.
pub fn read_metadata(path: &Path) -> Result<HashMap<String, String>, NetError> {
    metadata_of(&read(path)?, path)
}

/// As [`read_metadata`], for the bytes of a file that is already in memory; errors name `path`.
///
/// # Errors
/// [`NetError::Format`] for a damaged file.
pub fn metadata_of(bytes: &[u8], path: &Path) -> Result<HashMap<String, String>, NetError> {
    match Format::of(bytes, path)? {
        Format::PyTorch => Ok(HashMap::new()),
        Format::Safetensors => {
            let (_, header) =
                SafeTensors::read_metadata(bytes).map_err(|error| format_error(path, error))?;
            check(bytes, path)?;
            let mut entries = header.metadata().clone().unwrap_or_default();
            entries.remove(CHECKSUM);
            Ok(entries)
        }
    }
}

/// Reads all tensors of a file as f32; they may be stored as f32, as f16 or bf16, which f32 holds exactly, or as f64,
/// which is rounded. The file's first bytes, not its name, say whether it is
/// - a safetensors file, or
/// - a file of PyTorch's `torch.save`, in the format before or from PyTorch 1.6, that holds a state dict, as a whole
///   or as the only one under a key such as `"net"`. Nothing in it is run, whatever it says, and it may have been
///   saved from any device.
///
/// # Errors
/// [`NetError::Io`]; [`NetError::Format`] for a damaged file or one of another format; [`NetError::NotOnlyWeights`] and
/// [`NetError::NoWeights`] for a file that holds something else than the weights of one net.
pub fn read_tensors(path: &Path) -> Result<Vec<NamedParameter>, NetError> {
    tensors_of(&read(path)?, path)
}

fn tensors_of(bytes: &[u8], path: &Path) -> Result<Vec<NamedParameter>, NetError> {
    match Format::of(bytes, path)? {
        Format::Safetensors => read_safetensors(bytes, path),
        Format::PyTorch => pytorch::read(bytes).map_err(|problem| match problem {
            Problem::Damaged(reason) => NetError::Format {
                path: path.to_owned(),
                format: "PyTorch",
                reason,
            },
            Problem::Global(name) => NetError::NotOnlyWeights {
                path: path.to_owned(),
                name,
            },
            Problem::Contents(reason) => NetError::NoWeights {
                path: path.to_owned(),
                reason,
            },
        }),
    }
}

enum Format {
    Safetensors,
    PyTorch,
}

impl Format {
    /// A safetensors file begins with the length of its header, which takes at most four of its eight bytes, and with
    /// the header, which is an object of JSON. No pickle or archive begins so.
    fn of(bytes: &[u8], path: &Path) -> Result<Self, NetError> {
        match bytes {
            [_, _, _, _, 0, 0, 0, 0, b'{', ..] => Ok(Self::Safetensors),
            _ if pytorch::is_pytorch_file(bytes) => Ok(Self::PyTorch),
            _ => Err(NetError::Format {
                path: path.to_owned(),
                format: "safetensors or PyTorch",
                reason: if bytes.is_empty() {
                    "it is empty".into()
                } else {
                    "it begins like neither".into()
                },
            }),
        }
    }
}

fn read_safetensors(bytes: &[u8], path: &Path) -> Result<Vec<NamedParameter>, NetError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| format_error(path, error))?;
    check(bytes, path)?;
    file.iter()
        .map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => numbers(data, f32::from_le_bytes),
                Dtype::F64 => numbers(data, |bytes| f64::from_le_bytes(bytes) as f32),
                Dtype::F16 => numbers(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
                Dtype::BF16 => numbers(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
                other => {
                    return Err(NetError::NoWeights {
                        path: path.to_owned(),
                        reason: format!(
                            "tensor `{name}` is of type {other:?} where a type of floats is needed"
                        ),
                    });
                }
            };
            Ok(NamedParameter {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                values,
            })
        })
        .collect()
}

/// Refuses a file that has a checksum and other contents. Files of other programs have none.
fn check(bytes: &[u8], path: &Path) -> Result<(), NetError> {
    match checksum::is_sound(bytes, CHECKSUM) {
        Some(false) => Err(format_error(
            path,
            "its contents do not fit the checksum in its header",
        )),
        _ => Ok(()),
    }
}

fn numbers<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks()
        .0
        .iter()
        .map(|&bytes| number(bytes))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, NetError> {
    std::fs::read(path).map_err(|source| NetError::Io {
        path: path.to_owned(),
        source,
    })
}

fn format_error(path: &Path, reason: impl ToString) -> NetError {
    NetError::Format {
        path: path.to_owned(),
        format: "safetensors",
        reason: reason.to_string(),
    }
}
