FROM scratch
RUN a
RUN b
copy x y
Run c
