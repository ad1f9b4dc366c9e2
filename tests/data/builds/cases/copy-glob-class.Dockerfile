FROM alpine
COPY many/f[1-2].log /g/
COPY [[]x].txt /bracket/
