FROM scratch
ENV a=$x b=$x c=$y
LABEL l=$x m="$y" n='$z'
