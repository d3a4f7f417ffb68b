"""The Processing provider: three algorithms that call the command line."""

from __future__ import annotations

from typing import Any, ClassVar

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingProvider,
)

from .commands import SaroptError, command_line, run

UNITS = ["", "sigma0_db", "gamma0_db", "sigma0", "gamma0", "amplitude", "uint8", "complex"]
TRANSFORMS = ["affine", "translation", "homography"]
CHOICES = {"UNITS": UNITS, "TRANSFORM": TRANSFORMS}


def raster(name: str, title: str, optional: bool = False) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterLayer(name, title, optional=optional)


def text(name: str, title: str, default: str = "") -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterString(name, title, defaultValue=default, optional=True)


def choice(name: str, title: str) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterEnum(name, title, options=CHOICES[name], defaultValue=0)


class SaroptAlgorithm(QgsProcessingAlgorithm):
    """Base: a subclass says its name, its title, its help, and its parameters but the output."""

    key: ClassVar[str]
    title: ClassVar[str]
    help_text: ClassVar[str]

    def parameters_in(self) -> list[QgsProcessingParameterDefinition]:
        raise NotImplementedError

    def name(self) -> str:
        return self.key

    def displayName(self) -> str:
        return self.title

    def shortHelpString(self) -> str:
        return self.help_text

    def createInstance(self) -> SaroptAlgorithm:
        return type(self)()

    def initAlgorithm(self, configuration: Any = None) -> None:
        for parameter in self.parameters_in():
            self.addParameter(parameter)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", "Output"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, str]:
        values: dict[str, object] = {"OUTPUT": self.parameterAsOutputLayer(parameters, "OUTPUT", context)}
        for parameter in self.parameters_in():
            name, kind = parameter.name(), parameter.type()
            if kind == "raster":
                layer = self.parameterAsRasterLayer(parameters, name, context)
                values[name] = None if layer is None else layer.source()
            elif kind == "enum":
                values[name] = CHOICES[name][self.parameterAsEnum(parameters, name, context)]
            elif kind == "number":
                values[name] = self.parameterAsInt(parameters, name, context)
            else:
                values[name] = self.parameterAsString(parameters, name, context)
        try:
            run(command_line(self.key, values), feedback.pushInfo, feedback.isCanceled)
        except SaroptError as error:
            raise QgsProcessingException(str(error)) from error
        return {"OUTPUT": str(values["OUTPUT"])}


class Translate(SaroptAlgorithm):
    key, title = "translate", "Translate an image"
    help_text = "SAR to optical, or the other way round: the model says. Units are those of the input's pixels."

    def parameters_in(self) -> list[QgsProcessingParameterDefinition]:
        return [
            raster("INPUT", "Scene"),
            text("MODEL", "Translator, by name or file; empty: the one that fits the scene"),
            text("BANDS", "Bands, by name or number (VH or 2)"),
            choice("UNITS", "Units of the scene"),
        ]


class TranslateWithReference(SaroptAlgorithm):
    key, title = "translate_with_reference", "Translate a SAR image with an earlier optical one"
    help_text = "What did not change is taken from the earlier image, what changed from radar."

    def parameters_in(self) -> list[QgsProcessingParameterDefinition]:
        return [
            raster("INPUT", "SAR scene of today"),
            raster("REFERENCE", "Earlier optical image"),
            raster("REFERENCE_SAR", "Earlier SAR image", optional=True),
            raster("REFERENCE_MASK", "Raster that is not 0 where the earlier image shows cloud", optional=True),
            text("MODEL", "Translator", "s1-reference"),
            choice("UNITS", "Units of the scene"),
        ]


class Register(SaroptAlgorithm):
    key, title = "register", "Register an image to another"
    help_text = "Finds points that a SAR and an optical image share, and brings the first onto the grid of the second."

    def parameters_in(self) -> list[QgsProcessingParameterDefinition]:
        kind = QgsProcessingParameterNumber.Integer
        return [
            raster("INPUT", "Image to move"),
            raster("REFERENCE", "Image that stays"),
            choice("TRANSFORM", "Transform"),
            QgsProcessingParameterNumber("SEARCH", "Maximum shift in pixels", kind, defaultValue=32, minValue=1),
        ]


class Provider(QgsProcessingProvider):
    def id(self) -> str:
        return "saropt"

    def name(self) -> str:
        return "saropt"

    def loadAlgorithms(self) -> None:
        for algorithm in (Translate, TranslateWithReference, Register):
            self.addAlgorithm(algorithm())


class Plugin:
    """What QGIS loads and unloads."""

    def __init__(self) -> None:
        self.provider: Provider | None = None

    def initProcessing(self) -> None:
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        self.initProcessing()

    def unload(self) -> None:
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
