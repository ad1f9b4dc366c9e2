FROM scratch
ARG a=$b
ARG c=$a d=$c
