from scratch AS a
from scratch as b
copy x y
