From scratch as a
FrOM scratch AS b
