#!/usr/bin/env cwl-runner
# One scene to one translation, with a STAC item where the scene has a date; for platforms that run application packages.
cwlVersion: v1.2
class: CommandLineTool
label: Translate between SAR and optical images
doc: A translation is a model's guess, not a measurement.
baseCommand: [saropt, translate]
hints:
  DockerRequirement:
    dockerPull: saropt:0.1.0
  ResourceRequirement:
    coresMin: 2
    ramMin: 2048
requirements:
  NetworkAccess:
    networkAccess: false
inputs:
  scene:
    type: [File, Directory]
    secondaryFiles: [".msk?", ".MSK?", ".aux.xml?", "^.tfw?", "^.TFW?", "^.tifw?", "^.TIFW?", "^.wld?", "^.WLD?"]
    doc: GeoTIFF, or a Sentinel-1 GRD product (.zip file or .SAFE folder).
    inputBinding: {position: 1}
  name:
    type: string
    default: translation.tif
    doc: Name of the output.
    inputBinding: {position: 2}
  model:
    type: string?
    doc: Bundled translator; by default the one that fits the scene, see docs/choosing.md.
    inputBinding: {prefix: --model}
  bands:
    type: string?
    doc: Bands of the scene, such as VH.
    inputBinding: {prefix: --bands}
  units:
    type: string?
    doc: Units of the scene, such as sigma0_db.
    inputBinding: {prefix: --units}
  pixel:
    type: float?
    doc: Side in metres of the UTM pixels that a product is projected to.
    inputBinding: {prefix: --pixel}
  reference:
    type: File?
    secondaryFiles: [".msk?", ".MSK?", ".aux.xml?", "^.tfw?", "^.TFW?", "^.tifw?", "^.TIFW?", "^.wld?", "^.WLD?"]
    doc: Earlier clear optical image of the place.
    inputBinding: {prefix: --reference}
  reference_sar:
    type: File?
    secondaryFiles: [".msk?", ".MSK?", ".aux.xml?", "^.tfw?", "^.TFW?", "^.tifw?", "^.TIFW?", "^.wld?", "^.WLD?"]
    doc: Earlier SAR image of the place.
    inputBinding: {prefix: --reference-sar}
  stac:
    type: boolean
    default: false
    doc: Write a STAC item beside the output.
    inputBinding: {prefix: --stac}
outputs:
  translation:
    type: File
    outputBinding: {glob: $(inputs.name)}
  others:
    type: File[]
    doc: The STAC item and the map of origin.
    outputBinding:
      glob: ["*.json", "*_origin.tif"]
