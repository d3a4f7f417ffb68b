"""Networks (only nn.Module), one file for each architecture."""

from saropt.networks.bridge import Bridge
from saropt.networks.compiling import check_compiler
from saropt.networks.cran import CRANCycleGAN, CRANTranslator, CRANUNet
from saropt.networks.diffusion_schedule import diffuse, regression_target
from saropt.networks.diffusion_unet import DiffusionUNet
from saropt.networks.errors import ErrorNetwork
from saropt.networks.film import FiLM
from saropt.networks.frozen_statistics import freeze_statistics, has_instance_statistics
from saropt.networks.hat import HAT
from saropt.networks.keypoints import KeypointCNN, KeypointTraining, heat_map
from saropt.networks.nafunet import NAFUNet
from saropt.networks.patchgan import MultiScalePatchGAN, PatchGAN
from saropt.networks.projection import PatchProjection, gather_positions, random_positions
from saropt.networks.pseudo_classes import PixelFeatures, PseudoClasses, local_mean
from saropt.networks.reference import ReferenceUNet
from saropt.networks.registry import Generator, build_network, list_networks, network_arguments
from saropt.networks.resampling import enlarge, pyramid, shrink
from saropt.networks.resnet import ResNetGenerator
from saropt.networks.s2oformer import S2OFormer
from saropt.networks.sampling import SamplingNetwork
from saropt.networks.segmenters import build_segmenter, list_segmenters, segmenter_arguments
from saropt.networks.semantic_discriminator import build_semantic_discriminator, list_semantic_discriminators
from saropt.networks.snunet import SNUNet
from saropt.networks.tuigan import RefiningScale, ScaleCritics, TuiGANGenerator, scale_widths
from saropt.networks.unet import UNet256

__all__ = [
    "HAT",
    "Bridge",
    "CRANCycleGAN",
    "CRANTranslator",
    "CRANUNet",
    "DiffusionUNet",
    "ErrorNetwork",
    "FiLM",
    "Generator",
    "KeypointCNN",
    "KeypointTraining",
    "MultiScalePatchGAN",
    "NAFUNet",
    "PatchGAN",
    "PatchProjection",
    "PixelFeatures",
    "PseudoClasses",
    "ReferenceUNet",
    "RefiningScale",
    "ResNetGenerator",
    "S2OFormer",
    "SNUNet",
    "SamplingNetwork",
    "ScaleCritics",
    "TuiGANGenerator",
    "UNet256",
    "build_network",
    "build_segmenter",
    "build_semantic_discriminator",
    "check_compiler",
    "diffuse",
    "enlarge",
    "freeze_statistics",
    "gather_positions",
    "has_instance_statistics",
    "heat_map",
    "list_networks",
    "list_segmenters",
    "list_semantic_discriminators",
    "local_mean",
    "network_arguments",
    "pyramid",
    "random_positions",
    "regression_target",
    "scale_widths",
    "segmenter_arguments",
    "shrink",
]
