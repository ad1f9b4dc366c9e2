FROM alpine
ARG A=1 B=$A C="two words" D
RUN echo "$A $B $C [$D]" > /a
