import type { Layer } from "./api";
import { named, t } from "./i18n";

/** What a layer is called: its kind, or the name of its product. */
export function layerTitle(layer: Layer): string {
  return layer.product === null ? t(`kind_${layer.kind}`) : named(`product_${layer.product}`, layer.product);
}

/** What a band of a product is called; the bands of images keep their names. */
export function bandTitle(band: string): string {
  return named(`band_${band}`, band);
}
