"""The colours of every picture, and the marks beside them.

They are told apart by people who are colour-blind (Okabe and Ito, Color Universal Design, 2008), and by their marks in
print.
"""

BLUE, VERMILLION, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, AMBER, BLACK = "#56b4e9", "#e69f00", "#000000"
SERIES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PINK, "D"), (SKY, "v"), (AMBER, "P"), (BLACK, "X"))
