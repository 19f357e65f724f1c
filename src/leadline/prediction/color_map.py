"""Colour maps as 256 RGB triples: magma, reversed, for depth, and pale to blue for its expected error.

Magma reversed: near is bright and warm, far is dark; even to the eye, also in grey.

By Nathaniel Smith and Stéfan van der Walt for matplotlib (CC0); here, so that colours need no plotting library.
"""

import numpy as np

MAGMA_REVERSED = bytes.fromhex(
    "fcfdbffcfbbdfcf9bbfcf7b9fcf6b8fcf4b6fcf2b4fcf0b2fceeb0fcecaefdebacfde9aafde7a9fde5a7fde3a5fde2a3fde0a1fddea0"
    "fddc9efdda9cfed89afed799fed597fed395fed194fecf92fecd90fecc8ffeca8dfec88cfec68afec488fec287fec185febf84febd82"
    "febb81feb97ffeb77efeb67cfeb47bfeb27afeb078feae77feac76feaa74fea973fea772fea571fea36ffea16efe9f6dfe9d6cfd9b6b"
    "fd9a6afd9869fd9668fd9467fd9266fc9065fc8e64fc8c63fc8a62fc8961fb8761fb8560fb835ffa815ffa7f5efa7d5ef97b5df9795d"
    "f9785df8765cf8745cf7725cf7705cf66e5cf66c5cf56b5cf4695cf4675cf3655cf2645cf2625df1605df05f5eef5d5eee5b5eed5a5f"
    "ec5860eb5760ea5661e95462e85362e75263e55064e44f64e34e65e24d66e04c67df4a68de4968dc4869db476ad9466bd8456cd6456c"
    "d5446dd3436ed2426fd0416fcf4070cd4071cc3f71ca3e72c83e73c73d73c53c74c43c75c23b75c03a76bf3a77bd3977bc3978ba3878"
    "b83779b73779b5367ab3367ab2357bb0357bae347bad347cab337caa337da8327da6317da5317ea3307ea1307ea02f7f9e2f7f9c2e7f"
    "9b2e7f992d80982d80962c80942c80932b80912b81902a818e2a818c29818b2981892881882781862781842681832681812581802582"
    "7e24827c23827b2382792282782281762181752181732081721f81701f816e1e816d1d816b1d816a1c81681c81671b80651a80641a80"
    "6219806018805f187f5d177f5c167f5a167e59157e57157e56147d54137d52137c51127c4f127b4e117b4c117a4a1079491078471078"
    "451077440f76420f75400f743f0f723d0f713b0f70390f6e38106c36106b3410693310673111652f11632d11612c115f2a115c29115a"
    "27125825125524125322115021114e20114b1e11491d11471c10441a104219103f180f3d160f3b150e38140e36130d34120d31110c2f"
    "100b2d0e0b2b0d0a290c09260b09240a082209072008071e07061c06051a06051805041604041403031203030f02020d02020b020109"
    "010108010106010005000004"
)
"""256 colours of three bytes, nearest first."""

_PALE, _TEAL, _BLUE = (247, 252, 240), (78, 179, 190), (8, 50, 110)
PALE_TO_BLUE = bytes(
    np.stack([np.interp(np.arange(256), (0, 128, 255), ends).round() for ends in zip(_PALE, _TEAL, _BLUE, strict=True)])
    .T.astype(np.uint8)
    .tobytes()
)
"""Pale is little, blue is much: no colour of it is one of depth's, so that neither map is read as the other."""
