FROM scratch
COPY <<EOF <<"Q" /x/
$a 'b $c'
EOF
$d
Q
RUN <<EOF
$e
EOF
