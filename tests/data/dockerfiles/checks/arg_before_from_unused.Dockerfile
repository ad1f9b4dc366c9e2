ARG A=$B
ARG C=$A
FROM scratch
ENV x=$A
