"""Write a trained detector into a folder for other machines."""

from importlib import metadata
from pathlib import Path

import nir

from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.exporting import description as names
from ligo_cpc_snn.exporting.description import Description, Layer, Network, Program, Strain, digest
from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.front_end import PLATFORMS, FrontEnd, export_front_end
from ligo_cpc_snn.exporting.graph import compact_graph, snn_graph
from ligo_cpc_snn.exporting.quantisation import Part, Weights, quantised_detector
from ligo_cpc_snn.exporting.readme import readme
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.strain.replacing import write_whole

PACKAGES = ("ligo-cpc-snn", "jax", "nir", "spyx", "flax")


def export_folder(
    folder: Path,
    detector: TrainedDetector,
    weights: Weights = Weights.float32,
    part: Part = Part.snn,
) -> Description:
    """Write the graph, the front end, their description and a README; the folder is made.

    Args:
        folder: Files of these names in it are replaced, others left alone.
        detector: To be exported.
        weights: In what its weights are stored.
        part: Whose weights are rounded.

    Returns:
        What was written.

    Raises:
        ExportError: NIR cannot hold the network; nothing was written then.
        QuantisationError: int8 without Qwix.
    """
    detector = quantised_detector(detector, weights, part)
    network = detector.network
    graph = snn_graph(network.snn, detector.frame_seconds)
    front_end = export_front_end(network)
    found = describe(detector, front_end, weights, part)
    folder.mkdir(parents=True, exist_ok=True)
    nir.write(folder / names.SNN, graph)
    if found.snn.compact:
        nir.write(folder / names.COMPACT, compact_graph(network.snn, detector.frame_seconds))
    else:
        (folder / names.COMPACT).unlink(missing_ok=True)
    write_whole(folder / names.FRONT_END, front_end.program)
    save_detector(folder / names.DETECTOR, detector)
    for name in names.DIGESTED:
        if (folder / name).is_file():
            found.sha256[name] = digest((folder / name).read_bytes())
    write_whole(folder / names.README, readme(found).encode())
    write_whole(folder / names.DESCRIPTION, found.text().encode())
    return found


def describe(
    detector: TrainedDetector, front_end: FrontEnd, weights: Weights, part: Part
) -> Description:
    """Return the description of a detector's export, without digests."""
    network = detector.network
    why_not = compact_why_not(detector)
    low, high = detector.band_hz
    return Description(
        name=detector.name,
        strain=Strain(
            detectors=list(detector.detectors),
            sample_rate_hz=detector.sample_rate_hz,
            band_low_hz=low,
            band_high_hz=high,
            filter_seconds=detector.filter_seconds,
            psd_segment_seconds=detector.psd_segment_seconds,
        ),
        front_end=Program(
            per="detector" if network.shared else "all detectors",
            frame_samples=detector.frame_samples,
            frame_seconds=detector.frame_seconds,
            inputs=front_end.inputs,
            outputs=front_end.outputs,
            keys=front_end.keys,
            platforms=list(PLATFORMS),
        ),
        snn=Network(
            channels=int(network.snn.layers[0].product.kernel.shape[0]),
            dt_seconds=detector.frame_seconds,
            layers=[
                Layer(type(x.neuron).__name__, x.width, float(x.neuron.threshold))
                for x in network.snn.layers
            ],
            lag_frames=len(network.snn.layers),
            compact=not why_not,
            compact_why_not=why_not,
        ),
        weights=weights.value,
        weights_part=part.value,
        time_offset_seconds=detector.time_offset_seconds,
        warm_up_seconds=detector.warm_up_seconds,
        versions={name: metadata.version(name) for name in PACKAGES},
    )


def compact_why_not(detector: TrainedDetector) -> str:
    """Return why there is no graph of one node per layer, empty where there is one."""
    if detector.model.snn.neuron is Neuron.LIF:
        return ""
    try:
        compact_graph(detector.network.snn, detector.frame_seconds)
    except ExportError as error:
        return str(error)
    return ""
